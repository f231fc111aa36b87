// Completion scripts for shells, written from the tree of commands that parses the words.
#pragma once

#include <string>

#include "cli/arguments.h"

namespace kinglet::cli {

/// A script for bash that completes `root`'s commands, their options and file names.
std::string bash_completion(const Arguments& root);

/// The same for zsh, with what each command and option says of itself.
std::string zsh_completion(const Arguments& root);

}  // namespace kinglet::cli
