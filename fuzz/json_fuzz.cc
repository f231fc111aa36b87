// Any bytes as JSON: an error with its place, or a tree whose text parses to the same tree.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "formats/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = kinglet::parse_json({reinterpret_cast<const char*>(data), size});
  if (!json.ok()) {
    if (json.status().text().empty()) std::abort();
    return 0;
  }
  const auto again = kinglet::parse_json(json->dump());
  if (!again.ok() || *again != *json) std::abort();
  return 0;
}
