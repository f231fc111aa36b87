#include "arch/model_spec.h"

#include "arch/decoder.h"
#include "arch/describe.h"
#include "host/error.h"

namespace kinglet {
namespace {

// A GGUF need not carry vocab_size and never says "tied": the embedding's rows and a missing head do.
Status complete_from_tensors(const Checkpoint& checkpoint, Hyper& h) {
  const gguf::File* file = checkpoint.gguf();
  if (file == nullptr) return ok_status();
  if (const auto embedding = checkpoint.find_tensor("token_embd.weight"); embedding && embedding->shape.rank == 2)
    h.V = embedding->shape[0];
  else if (const gguf::Array* tokens = file->get_array("tokenizer.ggml.tokens"); tokens != nullptr && h.V == 0)
    h.V = std::visit([](const auto& items) { return static_cast<int64_t>(items.size()); }, tokens->items);
  h.tied = !file->find_tensor("output.weight");
  return ok_status();
}

}  // namespace

Result<ModelSpec> read_model_spec(const Checkpoint& checkpoint) {
  KL_ASSIGN(const Architecture* architecture, find_architecture(checkpoint));
  ModelSpec spec;
  spec.architecture = architecture;
  KL_TRY(complete_from_tensors(checkpoint, spec.hyper));
  const int64_t rows = spec.hyper.V;
  const auto io = make_config_reader(checkpoint, architecture->gguf);
  architecture->config(*io, spec.hyper);
  if (!io->status().ok()) return annotate(checkpoint.path(), io->status());
  if (rows > 0) spec.hyper.V = rows;
  Builder builder(spec.hyper, checkpoint.kind() == Checkpoint::Kind::gguf);
  KL_ASSIGN(spec.program, architecture->build(builder, spec.hyper));
  return spec;
}

Result<TensorView> find_param(const Checkpoint& checkpoint, const ParamInfo& param) {
  const std::string& name = checkpoint.kind() == Checkpoint::Kind::gguf ? param.gguf : param.hf;
  const auto found = checkpoint.find_tensor(name);
  if (!found) return error(Code::not_found, "{}: tensor {} is missing", checkpoint.path(), name);
  if (found->shape != param.shape)
    return error(Code::corrupt, "{}: tensor {} is {}, expected {}", checkpoint.path(), name, shape_text(found->shape),
                 shape_text(param.shape));
  return *found;
}

}  // namespace kinglet
