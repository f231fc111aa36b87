// Texts that end an answer, found while it streams: what may be the beginning of one is held back until that is
// decided.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kinglet {

class StopStrings {
 public:
  /// Errors: invalid_argument for an empty text, one that is not UTF-8, and for more than kMost texts or longer ones
  /// than kLongest bytes.
  static Result<StopStrings> create(std::vector<std::string> texts);
  static constexpr size_t kMost = 32, kLongest = 512;

  /// Adds `text` to the answer and returns what can be shown of it. Once a stop text is complete, stopped() is true, it
  /// and what followed it are dropped, and push() is not called again. Of two that are complete, the one that begins
  /// first counts. Whole characters in, whole characters out.
  std::string push(std::string_view text);
  /// What was held back, when the answer has ended in another way.
  std::string flush();
  bool stopped() const { return !found_.empty(); }
  /// The stop text that ended the answer; empty before that.
  std::string_view found() const { return found_; }

 private:
  explicit StopStrings(std::vector<std::string> texts) : texts_(std::move(texts)) {}
  size_t held_bytes() const;

  std::vector<std::string> texts_;
  std::string pending_;
  std::string found_;
};

}  // namespace kinglet
