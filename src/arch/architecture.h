// The list of architectures and what a file of one provides.
#pragma once

#include <span>
#include <string_view>

#include "arch/builder.h"
#include "arch/config_io.h"

namespace kinglet {

struct Architecture {
  std::string_view name;      ///< the file's name: "llama"
  std::string_view gguf;      ///< general.architecture
  std::string_view hf_class;  ///< architectures[0] of config.json
  void (*config)(ConfigIo& io, Hyper& hyper);
  Result<ProgramStorage> (*build)(Builder& b, const Hyper& hyper);
};

std::span<const Architecture> architectures();
/// The architecture of a checkpoint. Errors: unsupported with the name and what is supported, corrupt where it has none.
Result<const Architecture*> find_architecture(const Checkpoint& checkpoint);

}  // namespace kinglet
