// The program's entry, free of the command-line library's headers.
#pragma once

namespace kinglet::cli {

/// Parses the words and runs the command; returns the process's exit code.
int run_main(int argc, char** argv);

}  // namespace kinglet::cli
