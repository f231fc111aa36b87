// Exit codes of the program; they follow sysexits where it has one.
#pragma once

#include "base/status.h"

namespace kinglet::cli {

constexpr int exit_code(Code code) {
  switch (code) {
    case Code::ok:
      return 0;
    case Code::invalid_argument:
      return 2;
    case Code::out_of_range:
      return 2;
    case Code::not_found:
      return 66;
    case Code::corrupt:
      return 65;
    case Code::unsupported:
      return 69;
    case Code::resource_exhausted:
      return 71;
    case Code::io:
      return 74;
    case Code::cancelled:
      return 130;
    case Code::internal:
      return 70;
  }
  return 70;
}

}  // namespace kinglet::cli
