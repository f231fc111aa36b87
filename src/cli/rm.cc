// kinglet rm NAME: removes a model from the cache.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "formats/json.h"
#include "hub/pull.h"

namespace kinglet::cli {
namespace {

struct Words {
  std::string name;
  CommonOptions common;
};

Status run_rm(const Words& words) {
  KL_ASSIGN(const std::string path, hub::remove_model(words.name));
  if (words.common.json) fmt::print("{}\n", to_text(Json{{"removed", path}}));
  else fmt::print("removed {}\n", path);
  return ok_status();
}

}  // namespace

Action setup_rm(Arguments arguments) {
  auto words = std::make_shared<Words>();
  arguments.option("NAME", words->name, "what it was pulled by, or its file's name in the cache").required();
  add_common(arguments, words->common);
  arguments.footer(
      "Removes a model from the cache; files elsewhere are not touched.\n\nExample:\n  kinglet rm gemma-3-270m");
  return [words] { return run_rm(*words); };
}

}  // namespace kinglet::cli
