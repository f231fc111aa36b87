// How front ends (json_schema.h, regex.h, gbnf.h) say what texts are allowed: expressions over bytes, and rules that call each other.
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"

namespace kinglet::grammar {

/// Code points [first, last].
struct CodeRange {
  char32_t first, last;
};
inline constexpr CodeRange kAnyCode{0, 0x10FFFF};
/// Sorted, merged, within Unicode.
std::vector<CodeRange> normalized(std::vector<CodeRange> ranges);
/// Every code point that is in none of them.
std::vector<CodeRange> complement(std::vector<CodeRange> ranges);
/// Those of `ranges` without those of `without`.
std::vector<CodeRange> difference(std::vector<CodeRange> ranges, std::vector<CodeRange> without);

inline constexpr int64_t kUnbounded = -1;

class Builder {
 public:
  /// An expression of this builder; copying it means using it again.
  struct Expr {
    int32_t id;
  };

  Expr empty() { return sequence({}); }
  Expr nothing() { return choice({}); }  ///< matches no text at all
  Expr bytes(const ByteSet& set);
  Expr text(std::string_view text);
  /// One character in UTF-8 out of `ranges` (surrogates are never among them).
  Expr code_points(std::vector<CodeRange> ranges);
  Expr sequence(std::vector<Expr> parts);
  Expr choice(std::vector<Expr> alternatives);
  Expr optional(Expr e) { return repeat(e, 0, 1); }
  Expr repeat(Expr e, int64_t min, int64_t max);  ///< max may be kUnbounded

  /// A new rule, to be defined once; `name` is for messages.
  RuleId declare(std::string name);
  void define(RuleId rule, Expr body) { rules_[static_cast<size_t>(rule)].body = body.id; }
  Expr call(RuleId rule);
  /// declare() and define() in one.
  Expr named(std::string name, Expr body);

  /// Where the builder stands; rollback() takes away all that came after, which must not be used any more.
  struct Mark {
    size_t nodes, sets, rules;
  };
  Mark mark() const { return {nodes_.size(), sets_.size(), rules_.size()}; }
  void rollback(const Mark& mark);

  /// The automaton. What cannot be completed is left out, so a text that is allowed so far can always be ended. Errors: invalid_argument (a
  /// rule that is not defined, that calls itself before it reads anything, or a root that matches no text), resource_exhausted (too large).
  Result<Grammar> build(RuleId root) const;

 private:
  friend class Compiler;
  enum class Kind : uint8_t { bytes, sequence, choice, repeat, call };
  struct Node {
    Kind kind;
    int32_t a = 0;               // bytes: index of the set; repeat: the expression; call: the rule
    int64_t min = 0, max = 0;    // repeat
    std::vector<int32_t> parts;  // sequence, choice
  };
  struct Rule {
    std::string name;
    int32_t body = -1;
  };
  Expr add(Node node);

  std::vector<Node> nodes_;
  std::vector<ByteSet> sets_;
  std::vector<Rule> rules_;
  bool too_large_ = false;
};

}  // namespace kinglet::grammar
