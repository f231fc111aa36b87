// Evaluates a prompt and generates what follows, streaming text.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/answer_stream.h"
#include "engine/session.h"

namespace kinglet {

struct GenerateCallbacks {
  /// Gets each piece of the answer as it comes: whole characters, never empty. False cancels.
  std::function<bool(std::string_view)> on_text;
  /// Is asked between tokens, when there may be no text to show, and often while the prompt is evaluated. False cancels.
  std::function<bool()> keep_going;
  /// Tokens of the prompt that are evaluated, out of those that have to be. False cancels.
  Session::Progress on_prompt;
};

struct Generation {
  std::string text;
  Finish finish = Finish::end;
  std::string stop;             ///< Finish::stop: the text that ended it
  int64_t prompt_tokens = 0;    ///< of the whole prompt
  int64_t cached_tokens = 0;    ///< of those, already in the session
  int64_t answer_tokens = 0;    ///< generated, without the token that ends the answer
  int64_t guessed_tokens = 0;   ///< evaluated before they were known
  int64_t accepted_tokens = 0;  ///< of those, how many came true
  double prompt_seconds = 0;    ///< until the logits after the prompt were there
  double first_seconds = 0;     ///< until the first token was chosen
  double answer_seconds = 0;    ///< from then to the end
};

/// Makes the session hold `prompt` (of which it keeps the beginning that it holds already) and generates. Afterwards
/// the session holds the prompt and those tokens of the answer that were evaluated; the last one may be missing.
///
/// Errors: invalid_argument (options, an empty prompt), out_of_range where the prompt alone does not fit into the
/// context, and those of Session::append. A cancelled or full context is no error: `finish` says so.
Result<Generation> generate(Session& session, const Tokenizer& tokenizer, std::span<const TokenId> prompt,
                            const GenerateOptions& options, const GenerateCallbacks& callbacks = {});

}  // namespace kinglet
