#include "engine/generate.h"

#include <algorithm>
#include <chrono>

#include "engine/speculator.h"
#include "host/error.h"

namespace kinglet {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What one call of generate() works on.
struct Run {
  Session& session;
  const GenerateCallbacks& callbacks;
  AnswerStream stream;
  Speculator speculator;
  int64_t max_tokens;
  Generation out{};

  Status read_prompt(std::span<const TokenId> prompt);
  Status answer();
  Status advance(TokenId id);
  bool show(std::string_view text) {
    out.text += text;
    return text.empty() || !callbacks.on_text || callbacks.on_text(text);
  }
  // Takes one token of the answer; the reason to stop where there is one.
  std::optional<Finish> take(TokenId id);
};

Status Run::read_prompt(std::span<const TokenId> prompt) {
  if (prompt.empty()) return Status(Code::invalid_argument, "the prompt is empty");
  const auto& held = session.tokens();
  const auto limit = std::min(held.size(), prompt.size());
  auto common = static_cast<size_t>(
      std::mismatch(held.begin(), held.begin() + static_cast<ptrdiff_t>(limit), prompt.begin()).first - held.begin());
  // The logits after the last token are needed: where they are gone, that token is evaluated again.
  const bool ready = common == prompt.size() && held.size() == prompt.size() && !session.next_logits().empty();
  if (!ready) common = std::min(common, prompt.size() - 1);
  out.prompt_tokens = static_cast<int64_t>(prompt.size());
  out.cached_tokens = static_cast<int64_t>(common);
  if (out.prompt_tokens > session.runner().context()) {
    return error(Code::out_of_range, "the prompt of {} tokens does not fit into the context of {}", prompt.size(),
                 session.runner().context());
  }
  KL_TRY(session.truncate(out.cached_tokens));
  return session.append(prompt.subspan(common), callbacks.on_prompt, callbacks.keep_going);
}

std::optional<Finish> Run::take(TokenId id) {
  const bool wanted = show(stream.push(id));
  const std::optional<Finish> finish = stream.finish();
  if (finish == Finish::end || finish == Finish::stop) return finish;
  if (!wanted || (callbacks.keep_going && !callbacks.keep_going())) return Finish::cancelled;
  if (finish) return finish;
  if (session.length() == session.runner().context()) return Finish::context;
  return std::nullopt;
}

Status Run::advance(TokenId id) {
  // The last token of an answer is not evaluated.
  const int64_t room = max_tokens == 0 ? INT64_MAX : max_tokens - stream.tokens() - 1;
  return speculator.append(id, room);
}

Status Run::answer() {
  const auto start = Clock::now();
  std::optional<Finish> finish;
  while (!finish) {
    KL_ASSIGN(const TokenId id, stream.choose(session.next_logits(), session.tokens()));
    if (stream.tokens() == 0) out.first_seconds = out.prompt_seconds + seconds_since(start);
    finish = take(id);
    if (!finish) KL_TRY(advance(id));
  }
  KL_TRY(speculator.finish());
  out.finish = *finish;
  out.stop = stream.stop_text();
  out.answer_tokens = stream.tokens();
  out.guessed_tokens = speculator.guessed();
  out.accepted_tokens = speculator.accepted();
  show(stream.flush());
  out.answer_seconds = seconds_since(start);
  return ok_status();
}

}  // namespace

Result<Generation> generate(Session& session, const Tokenizer& tokenizer, std::span<const TokenId> prompt,
                            const GenerateOptions& options, const GenerateCallbacks& callbacks) {
  KL_ASSIGN(AnswerStream stream, AnswerStream::create(tokenizer, options, session.runner().model().hyper().V));
  Run run{session, callbacks, std::move(stream), Speculator(session, options.drafter ? options.drafter() : nullptr),
          options.max_tokens};
  const auto start = Clock::now();
  const Status status = run.read_prompt(prompt);
  run.out.prompt_seconds = seconds_since(start);
  if (status.code() == Code::cancelled) {
    run.out.finish = Finish::cancelled;
    return run.out;
  }
  KL_TRY(status);
  KL_TRY(run.answer());
  return run.out;
}

}  // namespace kinglet
