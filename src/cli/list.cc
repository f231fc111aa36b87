// kinglet list: models that are here, and models that can be had.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "formats/json.h"
#include "host/ledger.h"
#include "hub/pull.h"

namespace kinglet::cli {
namespace {

struct Words {
  CommonOptions common;
};

Status run_list(const Words& words) {
  KL_ASSIGN(const std::vector<hub::Listed> models, hub::list_models());
  size_t widest = 4;
  for (const hub::Listed& model : models) widest = std::max(widest, model.name.size());
  if (!words.common.json)
    fmt::print("{:<{}}  {:>9}  {:<5}  {:<12}  {}\n", "NAME", widest, "SIZE", "HERE", "LICENCE", "MODEL");
  for (const hub::Listed& model : models) {
    if (words.common.json) {
      fmt::print("{}\n", to_text(Json{{"name", model.name},
                                      {"title", model.title},
                                      {"licence", model.licence},
                                      {"size", model.size},
                                      {"here", model.here},
                                      {"path", model.path}}));
    } else {
      fmt::print("{:<{}}  {:>9}  {:<5}  {:<12}  {}\n", model.name, widest,
                 model.size > 0 ? format_bytes(model.size) : "?", model.here ? "yes" : "no", model.licence,
                 model.title);
    }
  }
  return ok_status();
}

}  // namespace

Action setup_list(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_common(arguments, words->common);
  arguments.footer(
      "Models that are here and models that can be pulled. --json prints one object a line.\n\nExample:\n  kinglet "
      "list");
  return [words] { return run_list(*words); };
}

}  // namespace kinglet::cli
