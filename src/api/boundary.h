// The edge between C and C++: no exception crosses it, errors become codes, and structures of any version are read.
#pragma once

#include <kinglet/kinglet.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>

#include "base/status.h"

namespace kinglet::api {

static_assert(static_cast<int>(Code::internal) == KINGLET_INTERNAL, "kinglet_code lists what base/status.h does");

/// Writes `status` where the caller asked for it; returns its code.
inline kinglet_code report(const Status& status, kinglet_error* error) {
  const auto code = static_cast<kinglet_code>(status.code());
  if (error != nullptr) {
    error->code = code;
    const size_t size = std::min(status.text().size(), sizeof(error->text) - 1);
    std::memcpy(error->text, status.text().data(), size);
    error->text[size] = '\0';
  }
  return code;
}

/// Runs `body`, which returns a Status; what it throws (memory that is not there, above all) becomes a Status too.
template <typename Body>
kinglet_code guard(kinglet_error* error, Body&& body) noexcept {
  try {
    return report(body(), error);
  } catch (const std::bad_alloc&) {
    return report(Status(Code::resource_exhausted, "out of memory"), error);
  } catch (const std::exception& e) {
    return report(Status(Code::internal, "unexpected: ").append(std::string_view(e.what())), error);
  } catch (...) {
    return report(Status(Code::internal, "unexpected exception"), error);
  }
}

/// The caller's structure over `defaults`: what an older caller does not know keeps its default.
template <typename Options>
Result<Options> read_options(const Options* given, Options defaults) {
  if (given == nullptr) return defaults;
  if (given->size < sizeof(size_t))
    return Status(Code::invalid_argument, "a structure was not set by its _init function");
  std::memcpy(&defaults, given, std::min(given->size, sizeof(Options)));
  defaults.size = sizeof(Options);
  return defaults;
}

/// Writes `values` to a caller's structure, as much of it as the caller knows.
template <typename Options>
void write_options(Options* out, Options values, size_t size) {
  values.size = size;
  std::memcpy(out, &values, std::min(size, sizeof(Options)));
}

}  // namespace kinglet::api
