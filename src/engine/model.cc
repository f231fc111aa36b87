#include "engine/model.h"

#include <cstdlib>

#include "arch/select_early.h"
#include "host/error.h"

namespace kinglet {
namespace {

Result<const KernelTable*> choose_kernels(std::string wanted) {
  if (wanted.empty())
    if (const char* isa = std::getenv("KINGLET_ISA")) wanted = isa;
  if (const KernelTable* table = find_kernels(wanted.c_str())) return table;
  std::string have;
  const KernelRows rows = available_kernels();
  for (int i = 0; i < rows.count; ++i) have += fmt::format("{}{}", i > 0 ? ", " : "", rows.rows[i]->name);
  return error(Code::invalid_argument, "no kernels named '{}' on this processor (there are {})", wanted, have);
}

/// The model's spec with the program that inference walks.
Result<ModelSpec> read_spec(const Checkpoint& checkpoint) {
  KL_ASSIGN(ModelSpec spec, read_model_spec(checkpoint));
  select_early(spec.program);
  return spec;
}

}  // namespace

Result<std::unique_ptr<Model>> Model::load(const std::string& path, const ModelOptions& options, Ledger& ledger) {
  KL_ASSIGN(Checkpoint checkpoint, Checkpoint::open(path));
  std::unique_ptr<Model> model(new Model(std::move(checkpoint)));
  model->ledger_ = &ledger;
  KL_ASSIGN(model->kernels_, choose_kernels(options.kernels));
  KL_ASSIGN(model->spec_, read_spec(model->checkpoint_));
  KL_TRY(model->add_adapters(options));
  KL_TRY(model->add_choices(options));
  const ProgramStorage& widest = model->choices_ ? model->choices_->program : model->spec_.program;
  KL_ASSIGN(model->weights_, Weights::load(model->checkpoint_, widest, *model->kernels_, ledger));
  KL_ASSIGN(model->packed_,
            PackedWeights::attach(model->checkpoint_, widest, *model->kernels_, model->weights_.params(),
                                  {options.packing_folder, options.packing_smallest_bytes}, ledger));
  return model;
}

Status Model::add_adapters(const ModelOptions& options) {
  for (const AdapterChoice& choice : options.adapters) {
    KL_ASSIGN(Adapter adapter, read_adapter(choice.path, spec_, checkpoint_, choice.weight));
    adapters_.push_back(std::make_unique<Adapter>(std::move(adapter)));
    KL_TRY(apply_adapter(spec_.program, *adapters_.back()));
  }
  return ok_status();
}

Status Model::add_choices(const ModelOptions& options) {
  if (options.choices.empty()) return ok_status();
  KL_ASSIGN(ModelSpec bare, read_spec(checkpoint_));
  for (const AdapterChoice& choice : options.choices) {
    KL_ASSIGN(Adapter adapter, read_adapter(choice.path, bare, checkpoint_, choice.weight));
    choice_adapters_.push_back(std::make_unique<Adapter>(std::move(adapter)));
  }
  for (const auto& adapter : adapters_) KL_TRY(apply_adapter(bare.program, *adapter));
  KL_ASSIGN(choices_, make_choice_program(std::move(bare.program), choice_adapters_));
  return ok_status();
}

Result<const Tokenizer*> Model::tokenizer() const {
  if (!tokenizer_) {
    KL_ASSIGN(tokenizer_, Tokenizer::load(checkpoint_));
  }
  return &*tokenizer_;
}

std::vector<int32_t> Model::kv_windows() const {
  std::vector<int32_t> out(static_cast<size_t>(spec_.program.kv_layers));
  for (const Step& step : spec_.program.steps)
    if (step.op == Op::attention) out[static_cast<size_t>(step.attr.kv_layer)] = step.attr.window;
  return out;
}

int64_t Model::original_context() const {
  for (const RopeTable& table : spec_.program.ropes)
    if (!table.long_freq.empty()) return table.original_context;
  return INT64_MAX;
}

}  // namespace kinglet
