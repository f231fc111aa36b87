#include "train/checkpoint.h"

#include <cstring>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "host/error.h"

namespace kinglet::train {
namespace {

constexpr char kStateKey[] = "kinglet.training";
constexpr int kVersion = 1;

std::vector<safetensors::OutTensor> all_tensors(std::span<const TrainedTensor> weights,
                                                std::span<const StateTensor> optimizer) {
  std::vector<safetensors::OutTensor> out;
  for (const TrainedTensor& t : weights)
    out.push_back({"weights." + t.name, DType::f32, t.shape, std::as_bytes(t.values)});
  for (const StateTensor& t : optimizer) out.push_back({"optimizer." + t.name, t.dtype, t.shape, t.data});
  return out;
}

Result<Json> state_of(const safetensors::File& file, const std::string& path) {
  const auto found = file.metadata().find(kStateKey);
  if (found == file.metadata().end()) return error(Code::corrupt, "{}: no checkpoint of a training run", path);
  auto state = parse_json(found->second);
  if (!state.ok()) return annotate(path, state.status());
  if (!state->is_object() || state->value("version", 0) != kVersion)
    return error(Code::unsupported, "{}: a checkpoint of another version of Kinglet", path);
  return state;
}

Status check_tensor(const safetensors::File& file, const safetensors::OutTensor& wanted, const std::string& path) {
  const safetensors::Tensor* found = file.find(wanted.name);
  if (found == nullptr)
    return error(Code::invalid_argument, "{}: no tensor {}; it is of another model, method or optimizer", path,
                 wanted.name);
  if (found->dtype != wanted.dtype || found->shape != wanted.shape)
    return error(Code::invalid_argument, "{}: tensor {} has another shape; it is of another model", path, wanted.name);
  return ok_status();
}

}  // namespace

Status save_checkpoint(const std::string& path, const Json& state, std::span<const TrainedTensor> weights,
                       std::span<const StateTensor> optimizer) {
  Json whole{{"version", kVersion}};
  whole.update(state);
  return safetensors::write(path, all_tensors(weights, optimizer), {{kStateKey, to_text(whole)}});
}

Result<Json> load_checkpoint(const std::string& path, std::span<const TrainedTensor> weights,
                             std::span<const StateTensor> optimizer) {
  KL_ASSIGN(const safetensors::File file, safetensors::File::open(path));
  KL_ASSIGN(Json state, state_of(file, path));
  const auto wanted = all_tensors(weights, optimizer);
  if (wanted.size() != file.tensors().size())
    return error(Code::invalid_argument, "{}: {} tensors, not {}; it is of another model, method or optimizer", path,
                 file.tensors().size(), wanted.size());
  for (const auto& t : wanted) KL_TRY(check_tensor(file, t, path));
  const auto copy = [&](const std::string& name, std::span<std::byte> to) {
    std::memcpy(to.data(), file.find(name)->data.data(), to.size());
  };
  for (const TrainedTensor& t : weights) copy("weights." + t.name, std::as_writable_bytes(t.values));
  for (const StateTensor& t : optimizer) copy("optimizer." + t.name, t.data);
  return state;
}

Result<Json> read_checkpoint_state(const std::string& path) {
  KL_ASSIGN(const safetensors::File file, safetensors::File::open(path));
  return state_of(file, path);
}

std::string settings_difference(const Json& wanted, const Json& saved) {
  for (const auto& [key, value] : wanted.items()) {
    const auto found = saved.find(key);
    if (found == saved.end()) return fmt::format("the checkpoint does not say {}", key);
    if (*found != value)
      return fmt::format("{} is {} here and {} in the checkpoint", key, to_text(value), to_text(*found));
  }
  return {};
}

}  // namespace kinglet::train
