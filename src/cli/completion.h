// Completion scripts for shells, written from the tree of commands that parses the words.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kinglet::cli {

/// A script for bash that completes `root`'s commands, their options and file names.
std::string bash_completion(const CLI::App& root);

/// The same for zsh, with what each command and option says of itself.
std::string zsh_completion(const CLI::App& root);

}  // namespace kinglet::cli
