// Text by code points, and the properties of characters that Python's str methods look at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kinglet::jinja {

/// Decodes the character at `pos` and moves past it. A byte that is no UTF-8 counts as one character, with a value
/// above U+10FFFF that append_utf8() turns back into the same byte.
uint32_t next_code_point(std::string_view text, size_t& pos);
void append_utf8(std::string& out, uint32_t code_point);
size_t count_code_points(std::string_view text);
/// Bytes before the `n`th character (the whole length where there are fewer).
size_t byte_offset(std::string_view text, size_t n);

bool is_space(uint32_t c);  ///< str.isspace
bool is_alpha(uint32_t c);
bool is_decimal(uint32_t c);
bool is_alnum(uint32_t c);
bool is_printable(uint32_t c);
bool is_upper(uint32_t c);
bool is_lower(uint32_t c);
bool is_cased(uint32_t c);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);        ///< str.title: each run of letters
std::string to_capitalized(std::string_view text);  ///< str.capitalize

std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
/// The same for the characters in `set`.
std::string_view strip_left(std::string_view text, std::string_view set);
std::string_view strip_right(std::string_view text, std::string_view set);

}  // namespace kinglet::jinja
