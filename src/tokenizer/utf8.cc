#include "tokenizer/utf8.h"

namespace kinglet {

size_t complete_utf8_prefix(std::string_view text) {
  // A cut character is at most three bytes long; look for a lead byte among the last three whose tail is missing.
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto lead = static_cast<uint8_t>(text[text.size() - back]);
    if ((lead & 0xC0) == 0x80) continue;  // a tail byte: the lead lies before it
    const size_t wanted = lead >= 0xF0 && lead <= 0xF4  ? 4
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xC2 && lead < 0xE0 ? 2
                                                        : 1;
    return wanted > back ? text.size() - back : text.size();
  }
  return text.size();
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const Utf8Char c = next_utf8(text, pos);
    out.append(c.valid ? text.substr(start, c.size) : kReplacementCharacter);
  }
  return out;
}

}  // namespace kinglet
