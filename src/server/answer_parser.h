// Parts the text of an answer, as it comes, into what is said, what was thought before it, and calls of tools.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/chat_family.h"

namespace kinglet::server {

struct AnswerPart {
  enum class Kind : uint8_t {
    content,
    reasoning,
    call,       ///< a call begins: text is the function's name
    arguments,  ///< of the last call: a piece of JSON text
  };
  Kind kind;
  std::string text;
};

/// One call, {"name": ..., "arguments": {...}}, byte by byte.
class CallScanner {
 public:
  enum class State : uint8_t { open, done, failed };
  using Parts = std::vector<AnswerPart>;
  /// Adds to `out` what `c` settles. `names` are the functions that there are.
  State push(char c, const std::vector<std::string>& names, Parts& out);
  bool begun() const { return begun_; }  ///< the call has been told of

 private:
  State push_key(char c, Parts& out);
  State push_value(char c, const std::vector<std::string>& names, Parts& out);
  State end_value(const std::vector<std::string>& names);
  State end_call(Parts& out);
  void begin(Parts& out);
  void emit(std::string_view arguments, Parts& out);

  std::string key_, value_, arguments_ = "{}";
  std::string name_;
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false;
  bool in_value_ = false, streaming_ = false, begun_ = false, told_arguments_ = false;
};

struct ParserOptions {
  const ChatFamily* family = nullptr;  ///< never null
  std::vector<std::string> tools{};    ///< names of functions that may be called; none: calls are text
  bool thinking = false;               ///< the prompt ends inside the thinking
};

class AnswerParser {
 public:
  explicit AnswerParser(ParserOptions options);

  /// What is certain once `text` has been added.
  std::vector<AnswerPart> push(std::string_view text);
  /// What was held back. A call that has not told its function's name is text after all.
  std::vector<AnswerPart> finish();
  bool thinking() const { return mode_ == Mode::thinking; }
  const ChatFamily& family() const { return *options_.family; }

 private:
  enum class Mode : uint8_t { start, thinking, text, calls };
  bool step(bool last);
  bool step_start(bool last);
  bool begins_bare_call(std::string_view answer);
  bool step_thinking(bool last);
  bool step_text(bool last);
  bool step_calls(bool last);
  void feed_call();
  void leave_calls();
  void give_up_call();
  void say(AnswerPart::Kind kind, std::string text);

  ParserOptions options_;
  std::vector<std::string_view> begins_, dropped_;
  Mode mode_ = Mode::start;
  std::string pending_;  ///< not yet parted
  std::string raw_;      ///< of calls mode, as long as it may turn out to be text
  std::optional<CallScanner> scanner_;
  std::vector<AnswerPart> out_;
  int32_t calls_ = 0, calls_before_ = 0;
  bool list_ = false, fenced_ = false;
  bool trim_ = false;  ///< white space at the front of what comes next says nothing
  bool said_ = false;  ///< content has been told
};

}  // namespace kinglet::server
