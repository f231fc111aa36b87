#include "cli/answer.h"

#include <fmt/format.h>

#include "formats/json.h"
#include "host/interrupt.h"
#include "host/memory.h"
#include "host/terminal.h"
#include "tokenizer/utf8.h"

namespace kinglet::cli {
namespace {

double per_second(int64_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }

// The first token comes of the prompt's logits: what the answer's time pays for are the others.
double answer_rate(const Generation& g) {
  return per_second(std::max<int64_t>(g.answer_tokens - 1, 0), g.answer_seconds);
}
double prompt_rate(const Generation& g) { return per_second(g.prompt_tokens - g.cached_tokens, g.prompt_seconds); }

std::string tokens(int64_t count) { return fmt::format("{} token{}", count, count == 1 ? "" : "s"); }

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t at = pos;
    const Utf8Char c = next_utf8(text, pos);
    const bool control = (c.code < 0x20 && c.code != '\n' && c.code != '\t') || (c.code >= 0x7F && c.code < 0xA0);
    out.append(c.valid && control ? kReplacementCharacter : text.substr(at, pos - at));
  }
  return out;
}

AnswerPrinter::AnswerPrinter(bool show, bool progress)
    : show_(show), progress_(progress && is_terminal(stderr)), terminal_(is_terminal(stdout)) {}

GenerateCallbacks AnswerPrinter::callbacks() {
  return {.on_text = [this](std::string_view text) { return on_text(text); },
          .keep_going = [] { return !InterruptScope::requested(); },
          .on_prompt = [this](int64_t done, int64_t total) { return on_prompt(done, total); }};
}

bool AnswerPrinter::on_text(std::string_view text) {
  if (!show_) return true;
  const std::string shown = terminal_ ? printable(text) : std::string(text);
  failed_ = std::fwrite(shown.data(), 1, shown.size(), stdout) != shown.size() || std::fflush(stdout) != 0;
  last_ = shown.back();
  return !failed_;
}

bool AnswerPrinter::on_prompt(int64_t done, int64_t total) {
  if (progress_ && done < total) {
    fmt::print(stderr, "\r\033[Kreading the prompt: {} of {} tokens", done, total);
    std::fflush(stderr);
    progress_shown_ = true;
  } else {
    clear_progress();
  }
  return !InterruptScope::requested();
}

void AnswerPrinter::clear_progress() {
  if (progress_shown_) fmt::print(stderr, "\r\033[K");
  progress_shown_ = false;
}

void AnswerPrinter::finish() {
  clear_progress();
  if (show_ && last_ != '\n' && !failed_) fmt::print("\n");
  std::fflush(stdout);
  last_ = '\n';
}

std::string summary(const Generation& g, const GenerateOptions& options, int64_t context) {
  const int64_t evaluated = g.prompt_tokens - g.cached_tokens;
  std::string out = fmt::format("prompt {} at {:.1f}/s", tokens(evaluated), prompt_rate(g));
  if (g.cached_tokens > 0) out += fmt::format(" (and {} kept)", g.cached_tokens);
  out += fmt::format(", answer {} at {:.1f}/s", tokens(g.answer_tokens), answer_rate(g));
  if (g.guessed_tokens > 0) out += fmt::format(" ({} of {} guessed came true)", g.accepted_tokens, g.guessed_tokens);
  if (const uint64_t peak = peak_resident_bytes(); peak > 0)
    out += fmt::format(", memory {} at most", format_bytes(peak));
  switch (g.finish) {
    case Finish::end:
      break;
    case Finish::length:
      out += fmt::format("; stopped at {}: --max-tokens", tokens(options.max_tokens));
      break;
    case Finish::stop:
      out += fmt::format("; stopped at {:?}", g.stop);
      break;
    case Finish::context:
      out += fmt::format("; stopped: the context of {} tokens is full", context);
      break;
    case Finish::cancelled:
      out += "; interrupted";
      break;
  }
  return out;
}

Json to_json(const Generation& g) {
  return {{"text", g.text},
          {"finish", name(g.finish)},
          {"prompt_tokens", g.prompt_tokens},
          {"cached_tokens", g.cached_tokens},
          {"answer_tokens", g.answer_tokens},
          {"guessed_tokens", g.guessed_tokens},
          {"accepted_tokens", g.accepted_tokens},
          {"prompt_seconds", g.prompt_seconds},
          {"first_token_seconds", g.first_seconds},
          {"answer_seconds", g.answer_seconds},
          {"prompt_tokens_per_second", prompt_rate(g)},
          {"answer_tokens_per_second", answer_rate(g)},
          {"peak_memory_bytes", peak_resident_bytes()}};
}

}  // namespace kinglet::cli
