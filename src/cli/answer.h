// How `run` and `chat` show an answer: text as it comes, progress while a prompt is read, a line of figures at the end.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "engine/generate.h"

namespace kinglet::cli {

/// `text` for a terminal: control characters other than line ends and tabs are shown as U+FFFD, since what a model (or
/// a file it was given) says must not drive the terminal.
std::string printable(std::string_view text);

/// Callbacks that stream to standard output and ask host/interrupt.h between tokens.
class AnswerPrinter {
 public:
  /// `show`: whether text is printed as it comes; `progress`: whether reading a long prompt is shown on standard error,
  /// which it is on a terminal only.
  AnswerPrinter(bool show, bool progress);
  GenerateCallbacks callbacks();
  /// Ends the answer's last line, where text was shown and it did not end itself.
  void finish();
  bool failed() const { return failed_; }  ///< standard output took no more

 private:
  bool on_text(std::string_view text);
  bool on_prompt(int64_t done, int64_t total);
  void clear_progress();

  bool show_, progress_, terminal_;
  bool progress_shown_ = false;
  bool failed_ = false;
  char last_ = '\n';
};

/// "prompt 36 tokens at 120.3/s, answer 128 tokens at 33.1/s, 612 MB at most", and why the answer ended where the model
/// did not end it itself.
std::string summary(const Generation& g, const GenerateOptions& options, int64_t context);

/// The same as fields, for --json.
Json to_json(const Generation& g);

}  // namespace kinglet::cli
