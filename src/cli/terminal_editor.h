// Editing one line at a terminal, by libedit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/line_editor.h"

namespace kinglet::cli {

class TerminalEditor {
 public:
  virtual ~TerminalEditor() = default;
  virtual Input read_line(const std::string& prompt) = 0;
  virtual void remember(const std::string& entry) = 0;  ///< for the arrow keys
};

/// `words`: what Tab completes at the start of a line. Null where Kinglet was built without libedit.
std::unique_ptr<TerminalEditor> make_terminal_editor(std::vector<std::string> words);

}  // namespace kinglet::cli
