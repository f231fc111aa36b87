#include "server/log.h"

#include <chrono>
#include <cstdio>

#include "formats/json.h"

namespace kinglet::server {

void log_line(Json entry) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  Json line = {
      {"time", static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) / 1000}};
  line.update(entry);
  const std::string text = to_text(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);  // one call: lines of several threads stay whole
}

}  // namespace kinglet::server
