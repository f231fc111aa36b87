// Whether people are watching, and how wide their window is.
#pragma once

#include <cstdio>

namespace kinglet {

bool is_terminal(std::FILE* stream);

/// Columns of the terminal behind `stream`, never below 20; `otherwise` where it is none. The variable COLUMNS comes first where it is a
/// number: that is how scripts and tests choose a width.
int terminal_columns(std::FILE* stream, int otherwise);

}  // namespace kinglet
