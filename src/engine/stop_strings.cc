#include "engine/stop_strings.h"

#include <algorithm>
#include <utility>

#include "host/error.h"
#include "tokenizer/utf8.h"

namespace kinglet {

Result<StopStrings> StopStrings::create(std::vector<std::string> texts) {
  if (texts.size() > kMost)
    return error(Code::invalid_argument, "{} stop texts are too many; at most {}", texts.size(), kMost);
  for (const std::string& text : texts) {
    if (text.empty()) return Status(Code::invalid_argument, "a stop text is empty");
    if (text.size() > kLongest) {
      return error(Code::invalid_argument, "a stop text of {} bytes is too long; at most {}", text.size(), kLongest);
    }
    // Held-back text is cut where a stop text may begin: whole characters come out only if stop texts are whole
    // characters.
    if (replace_invalid_utf8(text) != text) return Status(Code::invalid_argument, "a stop text is not valid UTF-8");
  }
  return StopStrings(std::move(texts));
}

std::string StopStrings::push(std::string_view text) {
  pending_ += text;
  size_t first = std::string::npos;
  for (const std::string& stop : texts_) {
    const size_t at = pending_.find(stop);
    if (at < first) {
      first = at;
      found_ = stop;
    }
  }
  const size_t shown = stopped() ? first : pending_.size() - held_bytes();
  std::string out = pending_.substr(0, shown);
  pending_.erase(0, stopped() ? std::string::npos : shown);
  return out;
}

std::string StopStrings::flush() { return std::exchange(pending_, {}); }

// The longest end of what is pending that some stop text begins with.
size_t StopStrings::held_bytes() const {
  size_t held = 0;
  for (const std::string& stop : texts_) {
    for (size_t n = std::min(stop.size() - 1, pending_.size()); n > held; --n) {
      if (std::string_view(pending_).substr(pending_.size() - n) == std::string_view(stop).substr(0, n)) held = n;
    }
  }
  return held;
}

}  // namespace kinglet
