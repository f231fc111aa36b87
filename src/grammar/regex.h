// Regular expressions as JSON Schema's "pattern" has them (ECMA-262), as far as they are regular.
#pragma once

#include <functional>
#include <string_view>

#include "grammar/builder.h"

namespace kinglet::grammar {

/// How a character out of `ranges` is written: Builder::code_points for plain text, something longer inside a JSON string.
using WriteCharacter = std::function<Builder::Expr(Builder&, std::vector<CodeRange> ranges)>;
Builder::Expr plain_character(Builder& builder, std::vector<CodeRange> ranges);

enum class RegexMatch : uint8_t {
  whole,     ///< the whole text
  anywhere,  ///< a part of it, unless ^ or $ say more
};

/// A grammar of the texts that match `pattern` as a whole. Errors: those of regex() and Builder::build.
Result<Grammar> compile_regex(std::string_view pattern);

/// Alternatives, groups, classes, quantifiers (lazy ones allow the same texts), . \d \w \s and their opposites, \n \t \xHH \uHHHH, and ^ $ at
/// the ends. Errors: invalid_argument (with the place), unsupported (look-around, back references, \b, \p, by name).
Result<Builder::Expr> regex(Builder& builder, std::string_view pattern, RegexMatch match,
                            const WriteCharacter& write = plain_character);

}  // namespace kinglet::grammar
