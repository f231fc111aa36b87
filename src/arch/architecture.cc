#include "arch/architecture.h"

#include "formats/hf_directory.h"
#include "host/error.h"

namespace kinglet {

#define KINGLET_ARCH(id, gguf, hf) \
  void config_##id(ConfigIo& io, Hyper& hyper); \
  Result<ProgramStorage> build_##id(Builder& b, const Hyper& hyper);
#include "arch/registry.def"
#undef KINGLET_ARCH

namespace {
constexpr Architecture kArchitectures[] = {
#define KINGLET_ARCH(id, gguf, hf) {#id, gguf, hf, config_##id, build_##id},
#include "arch/registry.def"
#undef KINGLET_ARCH
};

std::string supported() {
  std::string out;
  for (const Architecture& a : kArchitectures) out += fmt::format("{}{}", out.empty() ? "" : ", ", a.name);
  return out;
}

Result<std::string> hf_class(const Json& config) {
  if (config.is_object() && config.contains("architectures") && config["architectures"].is_array() &&
      !config["architectures"].empty() && config["architectures"][0].is_string())
    return config["architectures"][0].get<std::string>();
  return error(Code::corrupt, "config.json names no architecture");
}
}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

Result<const Architecture*> find_architecture(const Checkpoint& checkpoint) {
  if (const gguf::File* file = checkpoint.gguf()) {
    const auto name = file->get_string("general.architecture");
    if (!name) return error(Code::corrupt, "{}: no general.architecture", checkpoint.path());
    for (const Architecture& a : kArchitectures)
      if (a.gguf == *name) return &a;
    return error(Code::unsupported, "{}: architecture '{}' is not supported ({} are)", checkpoint.path(), *name,
                 supported());
  }
  KL_ASSIGN(const std::string name, hf_class(checkpoint.hf()->config));
  for (const Architecture& a : kArchitectures)
    if (a.hf_class == name) return &a;
  return error(Code::unsupported, "{}: architecture '{}' is not supported ({} are)", checkpoint.path(), name,
               supported());
}

}  // namespace kinglet
