#include "cluster/cluster.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "cluster/open_mpi.h"
#include "host/error.h"

namespace kinglet::cluster {
namespace {

int number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return 1;
  const std::string_view word(text);
  int value = 1;
  const auto [end, ec] = std::from_chars(word.data(), word.data() + word.size(), value);
  return ec == std::errc() && value > 0 ? value : 1;
}

}  // namespace

int launched_processes() { return number_in("OMPI_COMM_WORLD_SIZE"); }
int launched_here() { return number_in("OMPI_COMM_WORLD_LOCAL_SIZE"); }

Result<std::unique_ptr<train::Collective>> join() {
  if (launched_processes() > 1) return join_open_mpi();
  return std::unique_ptr<train::Collective>(std::make_unique<train::Alone>());
}

}  // namespace kinglet::cluster
