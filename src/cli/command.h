// A command of the program: one file in cli/, one line in cli/commands.def.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "cli/arguments.h"

namespace kinglet::cli {

/// What a command does once its words are parsed. A Status that is not ok is printed as "kinglet NAME: text" on
/// standard error and becomes the exit code (cli/exit_code.h).
using Action = std::function<Status()>;

/// Options every command understands; add_common() declares them.
struct CommonOptions {
  bool json = false;   ///< print JSON for machines
  int threads = 0;     ///< 0: as many as there are processors
  std::string memory;  ///< e.g. "6G"; empty: no limit
};
void add_common(Arguments arguments, CommonOptions& options);

#define KINGLET_COMMAND(id, name, summary) Action setup_##id(Arguments arguments);
#include "cli/commands.def"
#undef KINGLET_COMMAND

}  // namespace kinglet::cli
