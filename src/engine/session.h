// One conversation with a model: its tokens, their keys and values, and the logits after the last one.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/runner.h"

namespace kinglet {

class Session {
 public:
  explicit Session(Runner& runner) : runner_(&runner), kv_(runner.new_sequence()) {}

  const std::vector<TokenId>& tokens() const { return tokens_; }
  int64_t length() const { return static_cast<int64_t>(tokens_.size()); }
  Runner& runner() { return *runner_; }

  /// Evaluates `tokens` after what is there; next_logits() follow the last. `progress(done, total)` is called between batches and
  /// `keep_going` inside them; both may answer false to stop (Code::cancelled). Whatever the error, the session keeps the tokens that it
  /// had and those that were evaluated; next_logits() are empty. Errors: out_of_range where the context would overflow: nothing is
  /// evaluated then and nothing is ever cut off silently.
  ///
  /// longrope: the factors follow the length of the whole sequence, as in transformers. A conversation that grows past the original
  /// context is evaluated anew with the long factors, once.
  using Progress = std::function<bool(int64_t done, int64_t total)>;
  Status append(std::span<const TokenId> tokens, const Progress& progress = {},
                const Runner::KeepGoing& keep_going = {});

  /// Appends `token`, and evaluates in the same batch `guess`, tokens that may follow it: appending those afterwards, one by one, costs
  /// next to nothing. A token that was not guessed, and every other change, drops the rest. But for its speed the session is at all times
  /// what it would be without. Guesses beyond guess_room() are left out. Errors: as append().
  Status append_guessing(TokenId token, std::span<const TokenId> guess);
  /// How many tokens can be guessed behind one token that is appended now.
  int64_t guess_room() const;

  /// V logits for the token after the last; empty before the first append.
  std::span<const float> next_logits() const { return logits_; }

  /// Back to the first `length` tokens (next_logits() are empty until the next append). A sliding window that has let go of the keys in
  /// question makes it start over and evaluate again on the next append.
  Status truncate(int64_t length);

  /// Tokens, keys and values to a file, and back. The file names the model by its shape and a hash of its header. Errors: io, corrupt,
  /// invalid_argument where it was made with another model.
  /// `note` is kept beside them for the caller: the messages of a conversation.
  Status save(const std::string& path, std::string_view note = {}) const;
  Status load(const std::string& path, std::string* note = nullptr);

 private:
  Status evaluate(std::span<const TokenId> tokens, const Progress& progress, const Runner::KeepGoing& keep_going);
  bool take_guessed(TokenId token);
  void drop_guess();
  std::span<const float> guessed_logits(size_t row) const;
  bool wants_long_rope(int64_t length) const;

  Runner* runner_;
  KvSequence kv_;  ///< of the first tokens; all of them after an append() that succeeded
  std::vector<TokenId> tokens_;
  std::vector<float> logits_;
  bool long_rope_ = false;
  // What was evaluated beyond tokens_: guess_[guess_taken_, end) lies in kv_ only. Row i of the logits is before guess_[i].
  std::vector<TokenId> guess_;
  size_t guess_taken_ = 0;
  std::vector<float> guess_logits_;
};

}  // namespace kinglet
