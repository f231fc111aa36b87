// Holds an answer to a grammar: which tokens may come next, and when the answer is complete.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "grammar/matcher.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {

/// What an answer has to match, over one vocabulary. Many answers may share one.
struct Constraint {
  std::shared_ptr<grammar::Automaton> automaton;  ///< over text_tokens()
  /// Texts that switch the grammar on, which then holds from the first byte of that text; none: it holds from the start. A text that the
  /// grammar refuses switches nothing on.
  std::vector<std::string> triggers{};
  /// As triggers, but only where the answer begins with them (after white space).
  std::vector<std::string> first_triggers{};
  /// What lies between these is not looked at for triggers, where the answer begins with the first (after white space): thinking.
  std::string pause_begin{}, pause_end{};
  bool paused = false;  ///< the prompt ends behind pause_begin
  std::string begun{};  ///< what stands at the prompt's end already of the text that has to match
};

/// The vocabulary as a Constraint takes it: about 0.1 s for 150,000 tokens, so make it once. Control tokens are in no text, but for those in
/// `visible`.
std::shared_ptr<const grammar::TokenTrie> text_tokens(const Tokenizer& tokenizer,
                                                      std::span<const TokenId> visible = {});

/// One answer's place in its constraint.
class ConstraintState {
 public:
  /// `tokenizer` must outlive it.
  ConstraintState(const Constraint& constraint, const Tokenizer& tokenizer);

  /// Tokens that may come next: those that go on with the text, and the end tokens where it may end; null: any. Errors: resource_exhausted
  /// (a grammar that is too ambiguous), invalid_argument (it does not allow what has begun).
  Result<const grammar::TokenMask*> allowed();
  /// Takes a token that was allowed. Errors: invalid_argument where it was not.
  Status accept(TokenId id);
  /// Whether the text can still be completed by `tokens` more of them once `id` has been taken; nothing holds it before the grammar is on.
  bool fits(TokenId id, int64_t tokens);
  /// Tokens of one byte, and end tokens, after which the text can be completed by `tokens` more: where the next one has to come from when
  /// room runs out. Null where it cannot be completed any more.
  const grammar::TokenMask* closing(int64_t tokens);
  bool can_end() const { return on_ && matcher_.can_end(); }
  /// The text is complete and nothing can follow it.
  bool complete() const { return on_ && matcher_.must_end(); }

 private:
  void watch(std::string_view piece);
  bool pauses();
  void look_for_triggers();
  bool switch_on(size_t at);

  const Tokenizer* tokenizer_;
  std::shared_ptr<grammar::Automaton> automaton_;
  grammar::Matcher matcher_;
  grammar::TokenMask with_ends_, closing_;
  Status begun_;
  bool on_ = false;
  // Until it is on.
  std::vector<std::string> triggers_, first_triggers_;
  std::string pause_begin_, pause_end_;
  bool paused_ = false, may_pause_ = false;
  std::string seen_;      ///< the end of the answer, as long as a trigger may begin in it
  bool at_start_ = true;  ///< seen_ is the whole answer
};

}  // namespace kinglet
