#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_set>

#include "convert/convert.h"
#include "convert/gguf_header.h"
#include "convert/param_rows.h"
#include "formats/hf_directory.h"
#include "host/error.h"

namespace kinglet::convert {
namespace {

/// Tensors that some checkpoints carry and no program reads.
bool is_ignorable(std::string_view name, const ModelSpec& spec) {
  return name.ends_with(".rotary_emb.inv_freq") || (spec.hyper.tied && name == "lm_head.weight");
}

/// A tensor that the architecture does not know would be lost in silence: the model would be another one.
Status check_all_known(const Checkpoint& source, const ModelSpec& spec) {
  if (source.kind() != Checkpoint::Kind::hugging_face) return ok_status();
  if (!source.hf()->weights) return error(Code::not_found, "{}: no model.safetensors", source.path());
  std::unordered_set<std::string_view> known;
  for (const ParamInfo& p : spec.program.params) known.insert(p.hf);
  for (const safetensors::Tensor& t : source.hf()->weights->tensors()) {
    if (known.contains(t.name) || is_ignorable(t.name, spec)) continue;
    return error(Code::unsupported, "{}: tensor {} is not one that {} models have", source.path(), t.name,
                 spec.architecture->name);
  }
  return ok_status();
}

std::string model_name(const Checkpoint& source, const ConvertOptions& options) {
  if (!options.name.empty()) return options.name;
  if (const gguf::File* file = source.gguf()) {
    if (const auto name = file->get_string("general.name")) return std::string(*name);
  }
  std::filesystem::path path = std::filesystem::path(source.path()).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return source.gguf() ? path.stem().string() : path.filename().string();
}

Result<TokenizerData> read_tokenizer(const Checkpoint& source, const ModelSpec& spec) {
  if (source.gguf()) return tokenizer_from_gguf(*source.gguf());
  return tokenizer_from_hf(*source.hf(), spec.hyper.V);
}

struct Planned {
  ParamRows rows;
  DType type;
};

/// The type that most of the weights' values have: what general.file_type names.
DType most_common(const std::vector<Planned>& plan) {
  std::array<int64_t, kDTypeCount> values{};
  for (const Planned& p : plan)
    if (p.rows.shape().rank > 1) values[static_cast<size_t>(p.type)] += p.rows.shape().count().value_or(0);
  return static_cast<DType>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace

Result<std::string> to_gguf(const Checkpoint& source, const std::string& path, const ConvertOptions& options) {
  KL_ASSIGN(const ModelSpec spec, read_model_spec(source));
  KL_TRY(check_all_known(source, spec));
  KL_ASSIGN(const TokenizerData tokenizer, read_tokenizer(source, spec));
  std::vector<Planned> plan;
  uint64_t total = 0, done = 0;
  for (const ParamInfo& p : spec.program.params) {
    KL_ASSIGN(ParamRows rows, open_rows(source, spec, p, Layout::gguf, options));
    const DType type = stored_type(p, options.type.value_or(rows.source_type()));
    total += tensor_bytes(type, p.shape).value_or(0);
    plan.push_back({std::move(rows), type});
  }
  gguf::Writer file(path);
  file.split_at(options.split_bytes);
  std::vector<FactorTensor> factors;
  KL_TRY(write_gguf_header(spec, model_name(source, options), options.type.value_or(most_common(plan)), tokenizer, file,
                           factors));
  for (size_t i = 0; i < plan.size(); ++i) {
    KL_TRY(file.declare(spec.program.params[i].gguf, plan[i].type, spec.program.params[i].shape));
  }
  KL_TRY(file.begin());
  KL_TRY(write_factors(factors, file));
  for (size_t i = 0; i < plan.size(); ++i) {
    const auto sink = [&](std::span<const std::byte> bytes) {
      done += bytes.size();
      return file.write_tensor(bytes);
    };
    if (const Status s = plan[i].rows.write(plan[i].type, sink); !s.ok())
      return annotate(spec.program.params[i].gguf, s);
    if (options.progress) options.progress(done, total);
  }
  return file.finish();
}

}  // namespace kinglet::convert
