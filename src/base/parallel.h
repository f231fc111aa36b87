// How the core ring asks for parallel work without owning threads: the host hands it a Parallel (host/threads.h makes
// one from a pool; a microcontroller uses serial()).
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

namespace kinglet {

struct Parallel {
  using Body = void (*)(void* context, int64_t chunk, int worker);
  /// Calls body(context, chunk, worker) once for each chunk in [0, chunks), in any order and on any worker, and returns
  /// when all are done. Results must not depend on which worker takes which chunk.
  using Run = void (*)(void* self, int64_t chunks, Body body, void* context);

  Run run = nullptr;
  void* self = nullptr;
  int workers = 1;  ///< worker is in [0, workers)

  /// for_each(n, [&](int64_t chunk, int worker) { ... })
  template <typename F>
  void for_each(int64_t chunks, F&& f) const {
    using Fn = std::remove_reference_t<F>;
    run(
        self, chunks, [](void* context, int64_t chunk, int worker) { (*static_cast<Fn*>(context))(chunk, worker); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

  static Parallel serial() {
    return {[](void*, int64_t chunks, Body body, void* context) {
              for (int64_t i = 0; i < chunks; ++i) body(context, i, 0);
            },
            nullptr, 1};
  }
};

}  // namespace kinglet
