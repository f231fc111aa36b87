// Base64 (RFC 4648, section 4): how JSON carries bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kinglet {

/// With the padding of '='.
std::string encode_base64(std::string_view bytes);
/// Line breaks and padding are skipped; nothing where another character is no digit.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace kinglet
