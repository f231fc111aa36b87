// Loops whose index is a constant in the body, for files built for one instruction set.
#pragma once

#include <utility>

namespace kinglet {
namespace {

/// Calls f.template operator()<s>() for s in [0, n).
template <int n, typename F>
inline __attribute__((always_inline)) void unrolled(F&& f) {
  [&]<int... s>(std::integer_sequence<int, s...>) __attribute__((always_inline)) { (f.template operator()<s>(), ...); }
  (std::make_integer_sequence<int, n>{});
}

}  // namespace
}  // namespace kinglet
