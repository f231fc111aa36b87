#include "train/lora.h"

#include <algorithm>
#include <cmath>

#include "convert/random_blocks.h"
#include "host/error.h"

namespace kinglet::train {
namespace {

constexpr int64_t kMaxRank = 65536;

/// "model.layers.0.self_attn.q_proj.weight" -> "q_proj".
std::string_view leaf(std::string_view name) {
  constexpr std::string_view kWeight = ".weight";
  if (name.ends_with(kWeight)) name.remove_suffix(kWeight.size());
  return name.substr(name.rfind('.') + 1);
}

bool is_target(const ParamInfo& p, const std::vector<std::string>& targets) {
  if (p.kind != ParamKind::linear || p.layer == kNone) return false;
  if (targets.empty()) return true;
  return std::any_of(targets.begin(), targets.end(),
                     [&p](const std::string& t) { return t == leaf(p.hf) || t == leaf(p.gguf); });
}

Status check_targets(const ModelSpec& spec, const std::vector<std::string>& targets) {
  for (const std::string& target : targets) {
    const auto& params = spec.program.params;
    if (std::any_of(params.begin(), params.end(), [&](const ParamInfo& p) { return is_target(p, {target}); })) continue;
    return error(Code::invalid_argument, "no weight of this model's layers is called {}", target);
  }
  return ok_status();
}

/// Uniform in [-limit, limit).
void fill_uniform(std::vector<float>& values, double limit, convert::Random& random) {
  for (float& v : values) v = static_cast<float>((static_cast<double>(random.next() >> 11) * 0x1p-52 - 1.0) * limit);
}

}  // namespace

Result<Adapter> new_adapter(const ModelSpec& spec, const LoraOptions& options) {
  if (options.rank < 1 || options.rank > kMaxRank)
    return error(Code::invalid_argument, "a rank of {}; it is 1 to {}", options.rank, kMaxRank);
  if (!std::isfinite(options.alpha)) return Status(Code::invalid_argument, "an alpha that is not finite");
  KL_TRY(check_targets(spec, options.targets));
  const LoraSettings settings{
      .rank = options.rank, .alpha = options.alpha, .rank_stabilized = options.rank_stabilized, .base_name = {}};
  convert::Random random(options.seed);
  Adapter adapter;
  for (size_t i = 0; i < spec.program.params.size(); ++i) {
    const ParamInfo& p = spec.program.params[i];
    if (!is_target(p, options.targets)) continue;
    const int64_t N = p.shape[0], K = p.shape[1];
    LoraPair pair{.base = static_cast<ParamId>(i),
                  .R = options.rank,
                  .scale = static_cast<float>(settings.scale()),
                  .a = {},
                  .b = {}};
    pair.a.resize(static_cast<size_t>(options.rank * K));
    pair.b.resize(static_cast<size_t>(N * options.rank));
    fill_uniform(pair.a, 1.0 / std::sqrt(static_cast<double>(K)), random);
    adapter.pairs.push_back(std::move(pair));
  }
  return adapter;
}

Status begin_magnitudes(Adapter& adapter, const ModelSpec& spec, const Checkpoint& base) {
  for (LoraPair& pair : adapter.pairs) {
    KL_ASSIGN(const std::vector<double> norms, adapted_norms(pair, spec, base));
    pair.magnitude.assign(norms.begin(), norms.end());
  }
  return set_gains(adapter, spec, base);
}

Status take_adapter(const ProgramStorage& program, const Parameters& parameters, Adapter& adapter) {
  // apply_adapter() appends what each pair has in order.
  size_t id = program.params.size();
  for (const LoraPair& pair : adapter.pairs) id -= pair.is_dora() ? 3 : 2;
  for (LoraPair& pair : adapter.pairs) {
    for (std::vector<float>* part : {&pair.a, &pair.b, &pair.magnitude}) {
      if (part == &pair.magnitude && !pair.is_dora()) continue;
      const std::span<const float> values = parameters.all()[id].values;
      if (program.params[id++].values.data() != part->data() || values.size() != part->size())
        return Status(Code::internal, "an adapter that the program was not made with");
      std::copy(values.begin(), values.end(), part->begin());
    }
  }
  return ok_status();
}

int64_t adapter_values(const Adapter& adapter) {
  size_t values = 0;
  for (const LoraPair& pair : adapter.pairs) values += pair.a.size() + pair.b.size() + pair.magnitude.size();
  return static_cast<int64_t>(values);
}

}  // namespace kinglet::train
