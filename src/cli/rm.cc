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
  if (words.common.json) fmt::print("{}\n", Json{{"removed", path}}.dump());
  else fmt::print("removed {}\n", path);
  return ok_status();
}

}  // namespace

Action setup_rm(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("NAME", words->name, "what it was pulled by, or its file's name in the cache")->required();
  add_common(app, words->common);
  app.footer("Removes a model from the cache; files elsewhere are not touched.\n\nExample:\n  kinglet rm gemma-3-270m");
  return [words] { return run_rm(*words); };
}

}  // namespace kinglet::cli
