#include "hub/resolve.h"

#include <filesystem>

#include "host/error.h"
#include "host/file.h"
#include "hub/embedded_model.h"
#include "hub/home.h"
#include "hub/pulled.h"
#include "hub/registry.h"

namespace kinglet::hub {
namespace {

/// A registry name: in the cache (where a model that is built in is put when first named), or the error that says how to
/// get it.
Result<std::string> resolve_registered(const Model& model) {
  KL_ASSIGN(const std::filesystem::path models, models_directory());
  const std::filesystem::path path = models / model.file;
  if (is_there(path)) return path.string();
  for (const Source& source : model.sources) {
    if (!source.is_embedded()) continue;
    KL_TRY(make_directories(models.string()));
    KL_TRY(write_embedded_model(source.embedded, path.string()));
    return path.string();
  }
  return error(Code::not_found, "{} is not here yet; run: kinglet pull {}", model.name, model.name);
}

Result<std::string> resolve_hub_name(const std::string& name) {
  KL_ASSIGN(const std::filesystem::path models, models_directory());
  KL_ASSIGN(const PulledIndex index, PulledIndex::load());
  if (const auto file = index.find(name); file && is_there(models / *file)) return (models / *file).string();
  return error(Code::not_found, "{} is not here yet; run: kinglet pull {}", name, name);
}

}  // namespace

Result<std::string> resolve_model(std::string_view name) {
  if (name.empty()) return Status(Code::invalid_argument, "no model named");
  const std::string text(name);
  KL_ASSIGN(const Registry registry, Registry::load());
  if (const Model* model = registry.find(name)) return resolve_registered(*model);
  if (name.starts_with("hf:")) return resolve_hub_name(text);
  if (is_there(text)) return text;
  if (const auto models = models_directory();
      models.ok() && name.find_first_of("/\\") == name.npos && name.front() != '.') {
    for (const std::string& file : {text, text + ".gguf"}) {
      if (is_there(*models / file)) return (*models / file).string();
    }
  }
  return error(Code::not_found, "no model, file or folder called {}; see: kinglet list", name);
}

Result<std::string> default_model_name() {
  KL_ASSIGN(const Registry registry, Registry::load());
  return registry.default_model();
}

}  // namespace kinglet::hub
