// Rows become samples: token ids, and labels that say which of them are learned.
#pragma once

#include <optional>
#include <string>

#include "tokenizer/chat_format.h"
#include "train/batch.h"
#include "train/data_rows.h"

namespace kinglet::train {

/// Which tokens count for the loss.
enum class LossOn : uint8_t {
  answers,      ///< the assistant's messages; completions; the whole of a text
  last_answer,  ///< of a conversation only the last of them
  everything,   ///< prompts too
};

struct SampleOptions {
  LossOn loss = LossOn::answers;
  int64_t max_length = 0;      ///< tokens of a sample; 0: as long as it is. Texts are never cut here (see Dataset)
  int32_t vocabulary = 0;      ///< ids are below it; 0: the tokenizer's
  bool plain_prompts = false;  ///< prompts and completions are joined as they stand, without the chat template
  bool end_of_text = true;     ///< texts and plain completions end with the tokenizer's end token, where it has one
  SpecialTokens special = SpecialTokens::as_text;  ///< in texts and plain prompts
  std::optional<int64_t> now;                      ///< what a template's strftime_now sees: the same for every row
};

/// A row that was cut to max_length.
struct Cut {
  int64_t tokens = 0;  ///< what was cut off
};

/// Two answers to one prompt.
struct SamplePair {
  Sample chosen, rejected;
};

/// How many rows of a batch this sample gives a target to (the first token is predicted by none).
int64_t counted_targets(const Sample& sample);

class SampleMaker {
 public:
  /// `tokenizer` may be null where all rows are ids (then options.vocabulary says their limit); else it must outlive the
  /// maker. `source` may be empty: then prompts are plain, and conversations are refused. Errors: those of
  /// ChatFormat::create; invalid_argument.
  static Result<SampleMaker> create(const Tokenizer* tokenizer, ChatSource source, SampleOptions options);

  /// A sample of any row but a preference. `cut` says what max_length took. Errors: unsupported for a template that does
  /// not fit (which no other row will mend: stop), and where a sample begins with two BOS; others are this row's own: a
  /// template's refusal, ids outside the vocabulary, no answer in it, the wrong kind.
  Result<Sample> sample(const Row& row, Cut& cut) const;
  /// The two samples of a preference. Errors: as above.
  Result<SamplePair> pair(const Row& row, Cut& cut) const;

  bool uses_template() const { return format_.has_value() && !options_.plain_prompts; }
  const Tokenizer* tokenizer() const { return tokenizer_; }
  const SampleOptions& options() const { return options_; }

 private:
  SampleMaker(const Tokenizer* tokenizer, std::optional<ChatFormat> format, SampleOptions options)
      : tokenizer_(tokenizer), format_(std::move(format)), options_(std::move(options)) {}
  Result<Sample> of_text(const TextRow& row) const;
  Result<Sample> of_ids(const IdsRow& row) const;
  Result<Sample> of_chat(const Json& messages, const Json& tools, const Json& variables, size_t first) const;
  Result<Sample> of_plain(const std::string& prompt, const std::string& completion) const;
  Result<Sample> of_prompt(const PromptRow& row, const Json& answer) const;
  Result<Sample> uncut(const Row& row) const;
  Status check(const Sample& sample) const;
  void shorten(Sample& sample, Cut& cut) const;

  const Tokenizer* tokenizer_;
  std::optional<ChatFormat> format_;
  SampleOptions options_;
};

/// The text of a sample with what counts for the loss between « and », special tokens as their text; ids where there is
/// no tokenizer. At most about `max_tokens` tokens, from the beginning.
std::string masked_text(const Tokenizer* tokenizer, const Sample& sample, size_t max_tokens = 2000);

}  // namespace kinglet::train
