// Holds an answer to a grammar: which tokens may come next, and when the answer is complete.
#pragma once

#include <memory>

#include "grammar/matcher.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {

/// What an answer has to match, over one vocabulary. Many answers may share one.
struct Constraint {
  std::shared_ptr<const grammar::Grammar> grammar;
  std::shared_ptr<const grammar::TokenTrie> tokens;
};

/// The vocabulary as a Constraint takes it: about 0.1 s for 150,000 tokens, so make it once. Control tokens are in no text.
std::shared_ptr<const grammar::TokenTrie> text_tokens(const Tokenizer& tokenizer);

/// One answer's place in its constraint.
class ConstraintState {
 public:
  /// `tokenizer` must outlive it.
  ConstraintState(const Constraint& constraint, const Tokenizer& tokenizer)
      : tokenizer_(&tokenizer), tokens_(constraint.tokens), matcher_(constraint.grammar, constraint.tokens) {}

  /// Tokens that may come next: those that go on with the text, and the end tokens where it may end. Errors: resource_exhausted (a grammar
  /// that is too ambiguous).
  Result<const grammar::TokenMask*> allowed();
  /// Takes a token that was allowed. Errors: invalid_argument where it was not.
  Status accept(TokenId id) { return matcher_.accept(tokenizer_->piece(id)); }
  /// The text is complete and nothing can follow it.
  bool complete() const { return matcher_.must_end(); }

 private:
  const Tokenizer* tokenizer_;
  std::shared_ptr<const grammar::TokenTrie> tokens_;
  grammar::Matcher matcher_;
  grammar::TokenMask with_ends_;
};

}  // namespace kinglet
