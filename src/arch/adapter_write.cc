// Adapters to PEFT directories and GGUF files.
#include <cmath>
#include <set>

#include "arch/adapter.h"
#include "arch/adapter_keys.h"
#include "arch/fingerprint.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet {
namespace {

std::string_view without_weight(std::string_view name) {
  constexpr std::string_view kWeight = ".weight";
  if (name.ends_with(kWeight)) name.remove_suffix(kWeight.size());
  return name;
}

std::string_view leaf(std::string_view module) { return module.substr(module.rfind('.') + 1); }

const ParamInfo& base_of(const LoraPair& pair, const ModelSpec& spec) {
  return spec.program.params[static_cast<size_t>(pair.base)];
}

/// Rows of B, or magnitudes, in the order `to`.
std::vector<float> rows_in(std::vector<float> b, const ParamInfo& info, const Checkpoint& base, RowOrder to) {
  const RowOrder have = base.gguf() ? RowOrder::interleaved : RowOrder::halves;
  if (info.interleaved_heads > 0 && have != to)
    reorder_rows(b, info.shape[0], info.shape[0] / info.interleaved_heads, to);
  return b;
}

Json peft_config(const Adapter& adapter, const LoraSettings& settings, const ModelSpec& spec) {
  std::set<std::string> targets;
  for (const LoraPair& pair : adapter.pairs) targets.emplace(leaf(without_weight(base_of(pair, spec).hf)));
  Json config{{"base_model_name_or_path", settings.base_name},
              {"bias", "none"},
              {"fan_in_fan_out", false},
              {"inference_mode", true},
              {"init_lora_weights", true},
              {"lora_alpha", settings.alpha},
              {"lora_dropout", settings.dropout},
              {"modules_to_save", nullptr},
              {"peft_type", "LORA"},
              {"r", settings.rank},
              {"target_modules", targets},
              {"task_type", "CAUSAL_LM"},
              {"use_dora", !adapter.pairs.empty() && adapter.pairs.front().is_dora()},
              {"use_rslora", settings.rank_stabilized}};
  if (settings.alpha == std::floor(settings.alpha) && std::abs(settings.alpha) < 1e9)
    config["lora_alpha"] = static_cast<int64_t>(settings.alpha);
  return config;
}

Status check_ranks(const Adapter& adapter, const LoraSettings& settings) {
  for (const LoraPair& pair : adapter.pairs) {
    if (pair.R != settings.rank)
      return error(Code::invalid_argument, "an adapter of rank {} holds a pair of rank {}", settings.rank, pair.R);
  }
  return ok_status();
}

}  // namespace

double LoraSettings::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (rank_stabilized ? std::sqrt(r) : r);
}

void reorder_rows(std::vector<float>& values, int64_t rows, int64_t head_rows, RowOrder to) {
  const auto width = static_cast<int64_t>(values.size()) / rows;
  const std::vector<float> from = values;
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(from.begin() + source_row(row, head_rows, to) * width, width, values.begin() + row * width);
}

Status write_peft_adapter(const std::string& folder, const Adapter& adapter, const LoraSettings& settings,
                          const ModelSpec& spec, const Checkpoint& base) {
  KL_TRY(check_ranks(adapter, settings));
  KL_ASSIGN(const std::string fingerprint, model_fingerprint(base, spec.program));
  std::vector<std::vector<float>> rows;
  std::vector<safetensors::OutTensor> tensors;
  rows.reserve(2 * adapter.pairs.size());
  for (const LoraPair& pair : adapter.pairs) {
    const ParamInfo& info = base_of(pair, spec);
    const std::string module = fmt::format("{}{}", kPeftPrefix, without_weight(info.hf));
    rows.push_back(rows_in(pair.b, info, base, RowOrder::halves));
    tensors.push_back(
        {module + ".lora_A.weight", DType::f32, {pair.R, info.shape[1]}, std::as_bytes(std::span(pair.a))});
    tensors.push_back(
        {module + ".lora_B.weight", DType::f32, {info.shape[0], pair.R}, std::as_bytes(std::span(rows.back()))});
    if (!pair.is_dora()) continue;
    rows.push_back(rows_in(pair.magnitude, info, base, RowOrder::halves));
    tensors.push_back(
        {module + ".lora_magnitude_vector", DType::f32, {info.shape[0]}, std::as_bytes(std::span(rows.back()))});
  }
  KL_TRY(make_directories(folder));
  KL_TRY(safetensors::write(join_path(folder, "adapter_model.safetensors"), tensors,
                            {{"format", "pt"}, {std::string(kFingerprintKey), fingerprint}}));
  return write_file(join_path(folder, "adapter_config.json"), to_text(peft_config(adapter, settings, spec), 2) + "\n");
}

Status write_gguf_adapter(const std::string& path, const Adapter& adapter, const LoraSettings& settings,
                          const ModelSpec& spec, const Checkpoint& base) {
  KL_TRY(check_ranks(adapter, settings));
  for (const LoraPair& pair : adapter.pairs)
    if (pair.is_dora())
      return Status(Code::unsupported,
                    "a GGUF adapter cannot hold DoRA's magnitudes: merge it, or keep the PEFT directory");
  KL_ASSIGN(const std::string fingerprint, model_fingerprint(base, spec.program));
  gguf::Writer file(path);
  file.set("general.type", std::string("adapter"));
  file.set("general.architecture", std::string(spec.architecture->gguf));
  if (!settings.base_name.empty()) file.set("general.name", "LoRA for " + settings.base_name);
  file.set("adapter.type", std::string("lora"));
  // llama.cpp divides by the rank, whatever the kind of LoRA.
  file.set("adapter.lora.alpha", static_cast<float>(settings.scale() * static_cast<double>(settings.rank)));
  file.set(std::string(kFingerprintKey), fingerprint);
  for (const LoraPair& pair : adapter.pairs) {
    const ParamInfo& info = base_of(pair, spec);
    KL_TRY(file.declare(info.gguf + ".lora_a", DType::f32, {pair.R, info.shape[1]}));
    KL_TRY(file.declare(info.gguf + ".lora_b", DType::f32, {info.shape[0], pair.R}));
  }
  KL_TRY(file.begin());
  for (const LoraPair& pair : adapter.pairs) {
    KL_TRY(file.write_tensor(std::as_bytes(std::span(pair.a))));
    const std::vector<float> b = rows_in(pair.b, base_of(pair, spec), base, RowOrder::interleaved);
    KL_TRY(file.write_tensor(std::as_bytes(std::span(b))));
  }
  return file.finish().status();
}

}  // namespace kinglet
