// SentencePiece's precompiled character map: a double array of the byte sequences that are replaced, and the texts that
// replace them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kinglet {

class Charsmap {
 public:
  Charsmap() = default;  ///< replaces nothing
  /// `blob`: u32 size of the array in bytes (little endian), the array's units (u32 each), the replacements, each ended
  /// by a NUL. Errors: corrupt. An empty blob is a map that replaces nothing.
  static Result<Charsmap> parse(std::string_view blob);

  struct Match {
    std::string_view replacement;
    size_t consumed = 0;  ///< bytes of the text; 0: nothing is replaced here
  };
  /// The longest sequence at the start of `text` that is replaced.
  Match match(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace kinglet
