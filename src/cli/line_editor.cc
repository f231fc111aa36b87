#include "cli/line_editor.h"

#include <cstdio>

#include "cli/history.h"
#include "cli/terminal_editor.h"
#include "host/terminal.h"

namespace kinglet::cli {
namespace {

Input read_plain_line(const std::string& prompt) {
  if (is_terminal(stdin) && is_terminal(stdout)) {
    std::fputs(prompt.c_str(), stdout);
    std::fflush(stdout);
  }
  Input input;
  for (int c; (c = std::fgetc(stdin)) != EOF;) {
    input.kind = Input::Kind::text;
    if (c == '\n') break;
    input.text += static_cast<char>(c);
  }
  if (input.text.ends_with('\r')) input.text.pop_back();
  return input;
}

}  // namespace

LineEditor::LineEditor(std::string history_path, std::vector<std::string> words)
    : history_path_(std::move(history_path)) {
  if (!is_terminal(stdin) || !is_terminal(stdout)) return;
  editor_ = make_terminal_editor(std::move(words));
  if (!editor_) return;
  for (const std::string& entry : load_history(history_path_)) editor_->remember(entry);
}
LineEditor::~LineEditor() = default;

Input LineEditor::read_line(const std::string& prompt) {
  return editor_ ? editor_->read_line(prompt) : read_plain_line(prompt);
}

Input LineEditor::read(const std::string& prompt, const std::string& more) {
  Input input = read_line(prompt);
  while (input.kind == Input::Kind::text && input.text.ends_with('\\')) {
    Input next = read_line(more);
    if (next.kind == Input::Kind::interrupted) return next;
    if (next.kind == Input::Kind::end) break;
    input.text.back() = '\n';
    input.text += next.text;
  }
  if (editor_ && input.kind == Input::Kind::text && input.text.find_first_not_of(" \t\n") != std::string::npos) {
    editor_->remember(input.text);
    // A full disk or a read-only home takes the history, not the conversation.
    if (!history_path_.empty()) static_cast<void>(add_to_history(history_path_, input.text).ok());
  }
  return input;
}

}  // namespace kinglet::cli
