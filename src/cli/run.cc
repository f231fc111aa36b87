// kinglet run: one prompt, one answer.
#include <fmt/format.h>

#include <cstdio>

#include "cli/answer.h"
#include "cli/answer_words.h"
#include "cli/template_option.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "host/interrupt.h"
#include "host/terminal.h"
#include "tokenizer/chat_format.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxPromptBytes = uint64_t{64} << 20;
constexpr int64_t kPlainTokens = 256;  // a text that is continued seldom ends by itself

struct Words : AnswerWords {
  std::string prompt, file, system;
  bool raw = false, special = false, quiet = false, stats = false;
};

Result<std::string> read_standard_input() {
  std::string text;
  char buffer[1 << 16];
  while (const size_t n = std::fread(buffer, 1, sizeof(buffer), stdin)) {
    text.append(buffer, n);
    if (text.size() > kMaxPromptBytes)
      return error(Code::out_of_range, "a prompt of more than {} bytes", kMaxPromptBytes);
  }
  if (std::ferror(stdin)) return Status(Code::io, "cannot read standard input");
  return text;
}

Result<std::string> read_prompt(const Words& words) {
  if (!words.file.empty() && !words.prompt.empty()) {
    return Status(Code::invalid_argument, "a prompt and --file are one too many");
  }
  if (!words.file.empty() && words.file != "-") return read_file(words.file, kMaxPromptBytes);
  if (!words.prompt.empty() && words.prompt != "-") return words.prompt;
  if (words.prompt.empty() && words.file.empty() && is_terminal(stdin)) {
    return Status(Code::invalid_argument,
                  "no prompt: write it after the model, name a file with --file, or send it to standard input");
  }
  return read_standard_input();
}

// Tokens of the prompt, by the model's chat template where it has one and nothing else was asked for.
Result<std::vector<TokenId>> prompt_tokens(const Words& words, const Model& model, const Tokenizer& tokenizer,
                                           const std::string& prompt, bool& chat) {
  KL_ASSIGN(ChatSource source, template_source(words.template_file, model));
  chat = !words.raw && !source.text.empty();
  if (!chat) {
    if (!words.system.empty()) {
      return Status(Code::invalid_argument, words.raw
                                                ? "--system and --raw exclude each other: it takes a chat template"
                                                : "--system takes a chat template, and this model has none; "
                                                  "give one with --template FILE");
    }
    return plain_prompt(tokenizer, prompt, words.special ? SpecialTokens::parse : SpecialTokens::as_text);
  }
  if (words.special) {
    return Status(Code::invalid_argument,
                  "--special is for --raw: in a conversation, special tokens are the template's");
  }
  KL_ASSIGN(const ChatFormat format, ChatFormat::create(tokenizer, std::move(source)));
  Conversation conversation;
  if (!words.system.empty()) conversation.add("system", words.system);
  conversation.add("user", prompt);
  return format.prompt(conversation);
}

void print_figures(const Words& words, const Generation& g, const GenerateOptions& options, const Runner& runner) {
  if (words.common.json) {
    Json out = to_json(g);
    out["model"] = words.model.name;
    out["seed"] = options.sampling.seed;
    out["context"] = runner.context();
    fmt::print("{}\n", to_text(out));
    return;
  }
  if (!words.quiet || words.stats)
    fmt::print(stderr, "{}[{}]\n", is_terminal(stdout) ? "\n" : "", summary(g, options, runner.context()));
  if (words.stats) {
    fmt::print(stderr, "[first token after {:.2f} s; kernels {}, {} threads, context {}, seed {}; {}]\n",
               g.first_seconds, runner.model().kernels().name, runner.threads(), runner.context(),
               options.sampling.seed, runner.model().ledger().breakdown());
  }
}

Status run(const Words& words) {
  KL_ASSIGN(const std::string prompt, read_prompt(words));
  KL_ASSIGN(Answerer a, open_answerer(words));
  bool chat = false;
  KL_ASSIGN(const std::vector<TokenId> ids, prompt_tokens(words, *a.loaded.model, *a.tokenizer, prompt, chat));
  if (!chat) {
    a.options.start = StreamStart::mid_text;
    if (a.options.max_tokens == 0 && a.options.constraint == nullptr) a.options.max_tokens = kPlainTokens;
  }
  Session session(*a.runner);

  const InterruptScope interrupts;
  AnswerPrinter printer(!words.common.json, !words.quiet);
  const auto answer = generate(session, *a.tokenizer, ids, a.options, printer.callbacks());
  printer.finish();
  KL_TRY(answer.status());
  if (printer.failed()) return Status(Code::io, "cannot write to standard output");
  print_figures(words, *answer, a.options, *a.runner);
  return answer->finish == Finish::cancelled ? Status(Code::cancelled, "interrupted") : ok_status();
}

}  // namespace

Action setup_run(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_model(arguments, words->model);
  arguments.option("PROMPT", words->prompt, "what to answer (default, and -: read it from standard input)");
  arguments.option("-f,--file", words->file, "read the prompt from this file");
  arguments.option("--system", words->system, "the system's message, before the prompt");
  arguments.flag("--raw", words->raw, "continue the prompt as it stands, without the chat template");
  arguments.flag("--special", words->special, "with --raw: special tokens in the prompt are tokens, not text");
  add_template(arguments, words->template_file);
  arguments.flag("-q,--quiet", words->quiet, "print nothing but the answer");
  arguments.flag("--stats", words->stats, "more figures at the end");
  add_answer_words(arguments, *words);
  arguments.footer(
      "A model with a chat template answers the prompt; any other continues it, by 256 tokens unless told "
      "otherwise.\n\n"
      "Examples:\n"
      "  kinglet run qwen2.5-coder-0.5b \"Write a haiku about the sea.\"\n"
      "  kinglet run gemma-3-270m \"Once upon a time\" --max-tokens 64 --seed 1\n"
      "  kinglet run qwen2.5-coder-0.5b --system \"Answer in one line.\" --file question.txt\n"
      "  kinglet run qwen2.5-coder-0.5b \"Is 7 prime?\" --json-schema '{\"type\":\"object\",\"properties\":"
      "{\"prime\":{\"type\":\"boolean\"}},\"required\":[\"prime\"]}'");
  return [words] { return run(*words); };
}

}  // namespace kinglet::cli
