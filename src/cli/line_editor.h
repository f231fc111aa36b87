// Lines from a person at a terminal, with editing and history (libedit), or plain lines from anything else.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace kinglet::cli {

/// What a read gave.
struct Input {
  enum class Kind {
    text,
    interrupted,  ///< Ctrl-C: what was typed is thrown away
    end,          ///< Ctrl-D on an empty line, or the end of standard input
  };
  Kind kind = Kind::end;
  std::string text;  ///< without the line end
};

class TerminalEditor;

class LineEditor {
 public:
  /// `history_path`: where entries are kept, empty for nowhere. `words`: what the Tab key completes at the start of a
  /// line.
  LineEditor(std::string history_path, std::vector<std::string> words);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// One input. A line that ends in a backslash goes on in the next one, and the line ends of a paste are part of it.
  /// `prompt` is shown on a terminal only, `more` before lines that go on.
  Input read(const std::string& prompt, const std::string& more);

 private:
  Input read_line(const std::string& prompt);
  std::string history_path_;
  std::unique_ptr<TerminalEditor> editor_;  ///< null: plain lines
};

}  // namespace kinglet::cli
