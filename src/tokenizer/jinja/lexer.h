// A template's source as tokens, with Jinja's rules for white space around tags (trim_blocks and lstrip_blocks on).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kinglet::jinja {

struct Token {
  enum class Kind : uint8_t {
    data,            ///< text between tags
    variable_begin,  ///< {{
    variable_end,
    block_begin,  ///< {%
    block_end,
    name,
    string,  ///< unescaped
    integer,
    real,
    op,  ///< + - / // * % ** ~ [ ] ( ) { } == != > >= < <= = . : | , ;
    end,
  };
  Kind kind;
  int line;
  std::string text;

  bool is(Kind k) const { return kind == k; }
  bool is_op(std::string_view op) const { return kind == Kind::op && text == op; }
  bool is_name(std::string_view name) const { return kind == Kind::name && text == name; }
};

/// All tokens, ending with one of kind end. Throws Failure with the line.
std::vector<Token> tokenize(std::string_view source);

}  // namespace kinglet::jinja
