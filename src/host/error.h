// Status messages composed with fmt, for the host ring.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/status.h"

namespace kinglet {

/// error(Code::corrupt, "{}: tensor {} ends past the file", path, name)
template <typename... Args>
Status error(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Status(code, fmt::format(format, std::forward<Args>(args)...));
}

/// `status` with "context: " before its text.
inline Status annotate(std::string_view context, const Status& status) {
  return Status(status.code(), fmt::format("{}: {}", context, status.text()));
}

}  // namespace kinglet
