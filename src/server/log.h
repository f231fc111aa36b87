// One line of JSON on standard error for each thing that happened: never what was said.
#pragma once

#include "formats/json.h"

namespace kinglet::server {

/// Adds the time to `entry` and writes it. Any thread.
void log_line(Json entry);

}  // namespace kinglet::server
