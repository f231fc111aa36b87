// kinglet pull [NAME]: fetches a model into the cache.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "formats/json.h"
#include "hub/pull.h"
#include "hub/resolve.h"

namespace kinglet::cli {
namespace {

struct Words {
  std::string name;
  bool force = false;
  CommonOptions common;
};

Status run_pull(const Words& words) {
  hub::PullOptions options;
  options.force = words.force;
  options.say = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  std::string name = words.name;
  if (name.empty()) {
    KL_ASSIGN(name, hub::default_model_name());
  }
  KL_ASSIGN(const std::string path, hub::pull(name, options));
  if (words.common.json) fmt::print("{}\n", to_text(Json{{"name", name}, {"path", path}}));
  else fmt::print("{}\n", path);
  return ok_status();
}

}  // namespace

Action setup_pull(Arguments arguments) {
  auto words = std::make_shared<Words>();
  arguments.option("NAME", words->name,
                   "a name from `kinglet list`, or hf:owner/repo[:file-or-type] (default: the default model)");
  arguments.flag("--force", words->force, "fetch again what is here already");
  add_common(arguments, words->common);
  arguments.footer(
      "Fetches into $KINGLET_HOME/models (~/.cache/kinglet/models), goes on where an earlier try broke off, and "
      "checks\n"
      "the digest before the file gets its name. HF_ENDPOINT and HF_TOKEN are respected. Prints the path.\n\n"
      "Examples:\n"
      "  kinglet pull qwen2.5-coder-0.5b\n"
      "  kinglet pull hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m");
  return [words] { return run_pull(*words); };
}

}  // namespace kinglet::cli
