// Expressions for the pieces of JSON text: white space, strings, numbers, and any value at all. RFC 8259.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/builder.h"

namespace kinglet::grammar {

/// Whole numbers from `min` to `max`, each absent for no bound.
struct IntegerRange {
  std::optional<int64_t> min, max;
};

/// Numbers between whole bounds.
struct NumberRange {
  std::optional<int64_t> min, max;
  bool above_min = false, below_max = false;  ///< the bound itself is outside
};

class JsonText {
 public:
  using Expr = Builder::Expr;
  explicit JsonText(Builder& builder) : b_(builder) {}

  /// What may stand between tokens: nothing, a space, or up to two line ends and an indentation. (White space without end is valid JSON, and
  /// what small models get lost in.)
  Expr space();
  /// A string of `min` to `max` characters (kUnbounded: no end).
  Expr string(int64_t min, int64_t max);
  /// A string whose characters match. Errors: as regex().
  Result<Expr> string_matching(std::string_view pattern);
  /// A string in one of the formats of JSON Schema; nothing where it is not known.
  std::optional<Expr> string_of_format(std::string_view format);
  /// A string that is none of `names`, written without escapes.
  Expr string_other_than(const std::vector<std::string>& names);
  Expr integer(const IntegerRange& range);
  Expr number();
  Expr number(const NumberRange& range);
  Expr boolean() { return b_.choice({b_.text("true"), b_.text("false")}); }
  Expr null() { return b_.text("null"); }
  Expr value();   ///< any value
  Expr object();  ///< any object
  Expr array();   ///< any array

 private:
  Expr comma_list(Expr item);
  Expr digits(int64_t min, int64_t max);
  Expr decimal_magnitude(uint64_t low, bool above_low, uint64_t high, bool below_high);
  Expr once(std::optional<RuleId>& rule, std::string name, Expr (JsonText::*make)());
  Expr make_space();
  Expr make_string();
  Expr make_number();
  Expr make_value();
  Expr make_object();
  Expr make_array();

  Builder& b_;
  std::optional<RuleId> space_, string_, number_, value_, object_, array_;
};

}  // namespace kinglet::grammar
