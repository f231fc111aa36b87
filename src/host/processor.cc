#include "host/processor.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <cstdlib>
#else
#include <fstream>
#endif

namespace kinglet {

std::string processor_name() {
#if defined(__APPLE__)
  char name[256] = {};
  size_t size = sizeof(name) - 1;
  return sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0 ? name : std::string();
#elif defined(_WIN32)
  const char* name = std::getenv("PROCESSOR_IDENTIFIER");
  return name != nullptr ? name : std::string();
#else
  // x86 says "model name"; Arm has numbers only, of which implementer and part tell the kind of core.
  std::ifstream file("/proc/cpuinfo");
  std::string out;
  for (std::string line; std::getline(file, line) && !line.empty();) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    if (line.starts_with("model name")) return line.substr(colon + 2);
    if (line.starts_with("CPU implementer") || line.starts_with("CPU part")) {
      if (!out.empty()) out += ' ';
      out += line.substr(colon + 2);
    }
  }
  return out;
#endif
}

}  // namespace kinglet
