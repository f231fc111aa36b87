#include "cli/load_tokenizer.h"

#include "hub/resolve.h"

namespace kinglet::cli {

Result<Tokenizer> load_tokenizer(const std::string& name) {
  KL_ASSIGN(const std::string path, hub::resolve_model(name));
  KL_ASSIGN(const Checkpoint checkpoint, Checkpoint::open(path));
  return Tokenizer::load(checkpoint);
}

}  // namespace kinglet::cli
