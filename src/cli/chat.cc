// kinglet chat: a conversation at the terminal.
#include <fmt/format.h>

#include <cstdio>

#include "cli/answer.h"
#include "cli/answer_words.h"
#include "cli/line_editor.h"
#include "cli/template_option.h"
#include "engine/chat_session.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/interrupt.h"
#include "host/terminal.h"
#include "hub/home.h"

namespace kinglet::cli {
namespace {

struct Words : AnswerWords {
  std::string system;
  bool stats = false;
};

/// What goes on between a person and a model.
class Chat {
 public:
  Chat(const Words& words, const GenerateOptions& options, ChatSession session)
      : words_(words),
        options_(options),
        session_(std::move(session)),
        people_(is_terminal(stdin) && is_terminal(stdout)) {}

  Status run();

 private:
  struct Command {
    std::string_view name, argument, help;
    Status (Chat::*action)(const std::string&);
  };
  static const std::vector<Command>& commands();
  static std::vector<std::string> command_words();

  Status obey(std::string_view line);
  Status answer(const std::string& text);
  /// A line about the conversation, not of it: not on standard output where that is JSON or goes to a file.
  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    fmt::print(people_ ? stdout : stderr, "{}\n", fmt::format(format, std::forward<Args>(args)...));
  }
  Runner& runner() { return session_.session().runner(); }

  Status help(const std::string&);
  Status exit(const std::string&);
  Status reset(const std::string&);
  Status save(const std::string& path);
  Status load(const std::string& path);
  Status stats(const std::string&);
  Status system(const std::string& text);

  const Words& words_;
  GenerateOptions options_;
  ChatSession session_;
  bool people_;
  bool done_ = false;
  Generation last_;
};

const std::vector<Chat::Command>& Chat::commands() {
  static const std::vector<Command> list = {
      {"/save", "FILE", "write the conversation, with its keys and values, to a file", &Chat::save},
      {"/load", "FILE", "go on with a conversation that was saved", &Chat::load},
      {"/stats", "", "tokens, speed and memory", &Chat::stats},
      {"/system", "[TEXT]", "set the system's message, or show it", &Chat::system},
      {"/reset", "", "forget the conversation, but for the system's message", &Chat::reset},
      {"/help", "", "this list", &Chat::help},
      {"/exit", "", "leave (and so does Ctrl-D)", &Chat::exit},
  };
  return list;
}

std::vector<std::string> Chat::command_words() {
  std::vector<std::string> words;
  for (const Command& c : commands()) words.push_back(std::string(c.name) + (c.argument.empty() ? "" : " "));
  return words;
}

Status Chat::help(const std::string&) {
  for (const Command& c : commands()) say("  {:<16} {}", fmt::format("{} {}", c.name, c.argument), c.help);
  say("  A line that ends in \\ goes on in the next. Ctrl-C stops an answer. A message that begins with / is written "
      "//.");
  return ok_status();
}

Status Chat::exit(const std::string&) {
  done_ = true;
  return ok_status();
}

Status Chat::reset(const std::string&) {
  session_.reset();
  say("forgotten");
  return ok_status();
}

Status Chat::save(const std::string& path) {
  if (path.empty()) return Status(Code::invalid_argument, "/save FILE");
  KL_TRY(session_.save(path));
  say("saved {} messages, {} tokens in {}", session_.messages().size(), session_.session().length(), path);
  return ok_status();
}

Status Chat::load(const std::string& path) {
  if (path.empty()) return Status(Code::invalid_argument, "/load FILE");
  KL_TRY(session_.load(path));
  say("loaded {} messages, {} tokens", session_.messages().size(), session_.session().length());
  return ok_status();
}

Status Chat::stats(const std::string&) {
  if (last_.prompt_tokens > 0) say("last answer: {}", summary(last_, options_, runner().context()));
  say("conversation: {} messages, {} of {} tokens of context; seed {}", session_.messages().size(),
      session_.session().length(), runner().context(), options_.sampling.seed);
  say("memory: {}", runner().model().ledger().breakdown());
  return ok_status();
}

Status Chat::system(const std::string& text) {
  if (text.empty()) {
    say("{}", session_.system().empty() ? "no system message" : session_.system());
    return ok_status();
  }
  session_.set_system(text);
  say("{}", session_.messages().size() > 1 ? "set; the conversation is read anew at the next message" : "set");
  return ok_status();
}

Status Chat::obey(std::string_view line) {
  const size_t space = line.find_first_of(" \t\n");
  const std::string_view word = line.substr(0, space);
  std::string argument(space == std::string_view::npos ? "" : line.substr(space + 1));
  argument.erase(0, argument.find_first_not_of(" \t\n"));
  argument.erase(argument.find_last_not_of(" \t\n") + 1);
  if (word == "/quit") return exit(argument);
  for (const Command& c : commands()) {
    if (c.name == word) return (this->*c.action)(argument);
  }
  return error(Code::invalid_argument,
               "there is no {}; /help lists what there is, and a message with a slash begins with //", word);
}

Status Chat::answer(const std::string& text) {
  const InterruptScope interrupts;  // Ctrl-C ends the answer; a second one that is not heeded, the program
  AnswerPrinter printer(!words_.common.json, true);
  const auto answer = session_.say(text, options_, printer.callbacks());
  printer.finish();
  KL_TRY(answer.status());
  if (printer.failed()) return Status(Code::io, "cannot write to standard output");
  last_ = *answer;
  if (words_.common.json) {
    fmt::print("{}\n", to_text(to_json(*answer)));
    std::fflush(stdout);
  } else if (words_.stats || (answer->finish != Finish::end && answer->finish != Finish::stop)) {
    fmt::print(stderr, "[{}]\n", summary(*answer, options_, runner().context()));
  }
  if (people_) fmt::print("\n");
  return ok_status();
}

Status Chat::run() {
  std::string history;
  if (const auto home = hub::home_directory(); home.ok()) history = (*home / "history").string();
  LineEditor editor(history, command_words());
  while (!done_) {
    Input input = editor.read("> ", ". ");
    if (input.kind == Input::Kind::end) break;
    if (input.kind == Input::Kind::interrupted) {
      say("(/exit or Ctrl-D leaves)");
      continue;
    }
    std::string& text = input.text;
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) continue;
    const bool command = text.starts_with('/') && !text.starts_with("//");
    if (text.starts_with("//")) text.erase(0, 1);
    const Status status = command ? obey(text) : answer(text);
    if (status.ok()) continue;
    // People read why and go on. A program at the other end of a pipe must not take the next answer for this one's.
    if (!people_ || status.code() == Code::io) return status;
    fmt::print(stderr, "{}\n", status.text());
    if (status.code() == Code::out_of_range) fmt::print(stderr, "/reset begins anew; --ctx N makes more room\n");
  }
  return ok_status();
}

Result<ChatFormat> chat_format(const Words& words, const Model& model, const Tokenizer& tokenizer) {
  KL_ASSIGN(ChatSource source, template_source(words.template_file, model));
  auto format = ChatFormat::create(tokenizer, std::move(source));
  if (!format.ok())
    return annotate(words.template_file.empty() ? words.model.name : words.template_file, format.status());
  return format;
}

Status run(const Words& words) {
  KL_ASSIGN(const Answerer a, open_answerer(words));
  KL_ASSIGN(ChatFormat format, chat_format(words, *a.loaded.model, *a.tokenizer));
  Session session(*a.runner);
  ChatSession chat(session, *a.tokenizer, std::move(format));
  chat.set_system(words.system);
  if (is_terminal(stdin) && is_terminal(stdout)) {
    fmt::print("{}, context of {} tokens. /help lists the commands.\n\n", words.model.name, a.runner->context());
  }
  return Chat(words, a.options, std::move(chat)).run();
}

}  // namespace

Action setup_chat(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_model(arguments, words->model);
  arguments.option("--system", words->system, "the system's message");
  add_template(arguments, words->template_file);
  arguments.flag("--stats", words->stats, "a line of figures after each answer");
  add_answer_words(arguments, *words);
  arguments.footer(
      "Ctrl-C stops an answer, Ctrl-D leaves; /help lists commands: /save, /load, /stats, /system, /reset.\n"
      "What was typed is kept in KINGLET_HOME/history. Without a terminal, each line of standard input is a "
      "message.\n\n"
      "Example:\n"
      "  kinglet chat qwen2.5-coder-0.5b --system \"You are terse.\"");
  return [words] { return run(*words); };
}

}  // namespace kinglet::cli
