#include "engine/generate.h"

#include <algorithm>
#include <chrono>

#include "engine/stop_strings.h"
#include "host/error.h"

namespace kinglet {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What one call of generate() works on.
struct Run {
  Session& session;
  const Tokenizer& tokenizer;
  const GenerateOptions& options;
  const GenerateCallbacks& callbacks;
  Sampler sampler;
  StopStrings stops;
  StreamDecoder decoder;
  Generation out{};

  Status read_prompt(std::span<const TokenId> prompt);
  Status answer();
  bool is_end(TokenId id) const {
    const auto ends = tokenizer.end_tokens();
    return std::find(ends.begin(), ends.end(), id) != ends.end();
  }
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
  if (is_end(id)) return Finish::end;
  ++out.answer_tokens;
  const bool wanted = show(stops.push(decoder.push(id)));
  if (stops.stopped()) {
    out.stop = stops.found();
    return Finish::stop;
  }
  if (!wanted || (callbacks.keep_going && !callbacks.keep_going())) return Finish::cancelled;
  if (out.answer_tokens == options.max_tokens) return Finish::length;
  if (session.length() == session.runner().context()) return Finish::context;
  return std::nullopt;
}

Status Run::answer() {
  const auto start = Clock::now();
  std::optional<Finish> finish;
  while (!finish) {
    KL_ASSIGN(const TokenId id, sampler.sample(session.next_logits(), session.tokens()));
    if (out.answer_tokens == 0) out.first_seconds = out.prompt_seconds + seconds_since(start);
    finish = take(id);
    if (!finish) KL_TRY(session.append({&id, 1}));
  }
  out.finish = *finish;
  if (out.finish != Finish::stop) {
    std::string rest = stops.push(decoder.flush());
    if (!stops.stopped()) rest += stops.flush();
    show(rest);
  }
  out.answer_seconds = seconds_since(start);
  return ok_status();
}

}  // namespace

std::string_view name(Finish finish) {
  switch (finish) {
    case Finish::end:
      return "end";
    case Finish::length:
      return "length";
    case Finish::stop:
      return "stop";
    case Finish::context:
      return "context";
    case Finish::cancelled:
      return "cancelled";
  }
  return "";
}

Result<Generation> generate(Session& session, const Tokenizer& tokenizer, std::span<const TokenId> prompt,
                            const GenerateOptions& options, const GenerateCallbacks& callbacks) {
  if (options.max_tokens < 0) {
    return error(Code::invalid_argument, "max_tokens is {}; it must be 0 (no limit) or more", options.max_tokens);
  }
  const auto vocab_size = static_cast<int32_t>(session.runner().model().hyper().V);
  KL_ASSIGN(Sampler sampler, Sampler::create(options.sampling, vocab_size));
  KL_ASSIGN(StopStrings stops, StopStrings::create(options.stops));
  Run run{session,
          tokenizer,
          options,
          callbacks,
          std::move(sampler),
          std::move(stops),
          StreamDecoder(tokenizer, SpecialTokens::as_text, options.start)};
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
