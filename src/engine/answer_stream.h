// One answer while it comes into being: chooses its tokens, makes text of them and tells when it has ended.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/constraint.h"
#include "engine/drafter.h"
#include "engine/sampler.h"
#include "engine/stop_strings.h"

namespace kinglet {

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = 0;          ///< most tokens of an answer; 0: until something else ends it
  std::vector<std::string> stops;  ///< texts that end the answer and are not part of it
  /// The answer goes on with the prompt's text, rather than being a text of its own: a SentencePiece vocabulary's first
  /// space belongs to it then.
  StreamStart start = StreamStart::new_text;
  std::shared_ptr<const Constraint> constraint;  ///< what the answer has to match; null: anything
  std::vector<TokenId> visible;  ///< control tokens whose text is part of the answer's (the markers of tool calls)
  /// Makes the one who guesses the next tokens (engine/speculation.h); none: nothing is guessed. The answer is the same
  /// either way, and the runner's `outputs` limit how much can be guessed at once.
  std::function<std::unique_ptr<Drafter>()> drafter;
};

/// Why an answer ended.
enum class Finish : uint8_t {
  end,        ///< the model ended it
  length,     ///< max_tokens
  stop,       ///< a stop text
  context,    ///< the context is full
  cancelled,  ///< whoever asked for it wants no more
};
std::string_view name(Finish finish);

class AnswerStream {
 public:
  /// `tokenizer` must outlive it. Errors: invalid_argument naming the option.
  static Result<AnswerStream> create(const Tokenizer& tokenizer, const GenerateOptions& options, int64_t vocab_size);

  /// The token after `tokens`, given its V logits; push() takes it. Errors: those of Sampler::sample and of the
  /// constraint.
  Result<TokenId> choose(std::span<const float> logits, std::span<const TokenId> tokens);
  /// Adds a token to the answer and returns what can be shown of its text. Not to be called once finish() tells why
  /// the answer has ended: end, stop or length.
  std::string push(TokenId id);
  std::optional<Finish> finish() const { return finish_; }
  /// What was held back of an answer that has ended, for whatever reason.
  std::string flush();

  int64_t tokens() const { return tokens_; }  ///< without the one that ended it
  /// What the constraint has taken since this was asked last.
  double take_constraint_seconds() { return std::exchange(constraint_seconds_, 0); }
  std::string_view stop_text() const { return stops_.found(); }  ///< Finish::stop: the text that ended it

 private:
  AnswerStream(const Tokenizer& tokenizer, const GenerateOptions& options, Sampler sampler, StopStrings stops)
      : tokenizer_(&tokenizer),
        max_tokens_(options.max_tokens),
        visible_(options.visible),
        sampler_(std::move(sampler)),
        stops_(std::move(stops)),
        decoder_(tokenizer, SpecialTokens::as_text, options.start) {
    if (options.constraint != nullptr) constraint_.emplace(*options.constraint, tokenizer);
  }
  Result<TokenId> choose_held(std::span<const float> logits, std::span<const TokenId> tokens);
  template <typename F>
  auto timed(F work);
  bool is_end(TokenId id) const;
  std::string text_of(TokenId id);

  const Tokenizer* tokenizer_;
  int64_t max_tokens_;
  std::vector<TokenId> visible_;
  Sampler sampler_;
  StopStrings stops_;
  StreamDecoder decoder_;
  std::optional<ConstraintState> constraint_;
  double constraint_seconds_ = 0;
  int64_t tokens_ = 0;
  std::optional<Finish> finish_;
};

}  // namespace kinglet
