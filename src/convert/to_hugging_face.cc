#include <algorithm>
#include <filesystem>

#include "convert/convert.h"
#include "convert/param_rows.h"
#include "convert/tokenizer_data.h"
#include "formats/hf_directory.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::convert {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kShardBytes = uint64_t{5} * 1000 * 1000 * 1000;  ///< as transformers' save_pretrained

/// A folder that becomes `path` when it is whole, and vanishes where it does not.
class NewFolder {
 public:
  static Result<NewFolder> create(const std::string& path) {
    std::error_code code;
    if (fs::exists(path, code) && !(fs::is_directory(path, code) && fs::is_empty(path, code))) {
      return error(Code::io, "{} exists already", path);
    }
    const std::string partial = fmt::format("{}.partial-{}", trimmed(path), file_detail::process_id());
    KL_TRY(make_directories(partial));
    return NewFolder(path, partial);
  }
  NewFolder(NewFolder&& other) noexcept : path_(other.path_), partial_(std::exchange(other.partial_, {})) {}
  NewFolder& operator=(NewFolder&&) = delete;
  ~NewFolder() {
    std::error_code ignored;
    if (!partial_.empty()) fs::remove_all(partial_, ignored);
  }

  std::string file(std::string_view name) const { return join_path(partial_, name); }
  Status commit() {
    std::error_code code;
    fs::remove(path_, code);  // an empty folder of that name
    fs::rename(partial_, path_, code);
    if (code) return error(Code::io, "cannot make the folder {}: {}", path_, code.message());
    partial_.clear();
    return ok_status();
  }

 private:
  NewFolder(std::string path, std::string partial) : path_(std::move(path)), partial_(std::move(partial)) {}
  static std::string trimmed(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
  }
  std::string path_, partial_;
};

struct Planned {
  const ParamInfo* param;
  ParamRows rows;
  DType type;
  uint64_t bytes;
};

Result<std::vector<Planned>> plan_weights(const Checkpoint& source, const ModelSpec& spec,
                                          const ConvertOptions& options) {
  std::vector<Planned> plan;
  for (const ParamInfo& p : spec.program.params) {
    KL_ASSIGN(ParamRows rows, open_rows(source, spec, p, Layout::hugging_face, options));
    const DType type = options.type.value_or(rows.source_type());
    if (!safetensors::dtype_name(type)) {
      return error(Code::unsupported,
                   "tensor {} is {}, which a Hugging Face directory cannot hold; ask for f32, f16 or bf16", p.gguf,
                   name(type));
    }
    plan.push_back({&p, std::move(rows), type, tensor_bytes(type, p.shape).value_or(0)});
  }
  // Wider types first: the format has no gaps, and so every tensor is aligned to its type.
  std::stable_sort(plan.begin(), plan.end(), [](const Planned& a, const Planned& b) {
    return info(a.type).block_bytes > info(b.type).block_bytes;
  });
  return plan;
}

/// The first tensor of each shard, and one past the last tensor.
std::vector<size_t> shard_bounds(const std::vector<Planned>& plan) {
  std::vector<size_t> bounds{0};
  uint64_t bytes = 0;
  for (size_t i = 0; i < plan.size(); ++i) {
    if (bytes > 0 && bytes + plan[i].bytes > kShardBytes) {
      bounds.push_back(i);
      bytes = 0;
    }
    bytes += plan[i].bytes;
  }
  bounds.push_back(plan.size());
  return bounds;
}

Status write_shard(const std::string& path, std::span<const Planned> tensors, uint64_t total, uint64_t& done,
                   const Progress& progress) {
  safetensors::Writer file(path);
  file.set_metadata("format", "pt");
  for (const Planned& t : tensors) KL_TRY(file.declare(t.param->hf, t.type, t.param->shape));
  KL_TRY(file.begin());
  for (const Planned& t : tensors) {
    const Status s = t.rows.write(t.type, [&](std::span<const std::byte> bytes) { return file.write_tensor(bytes); });
    if (!s.ok()) return annotate(t.param->hf, s);
    done += t.bytes;
    if (progress) progress(done, total);
  }
  return file.finish();
}

Status write_weights(const NewFolder& folder, const std::vector<Planned>& plan, const Progress& progress) {
  const std::vector<size_t> bounds = shard_bounds(plan);
  const size_t shards = bounds.size() - 1;
  uint64_t total = 0, done = 0;
  for (const Planned& t : plan) total += t.bytes;
  Json index{{"metadata", {{"total_size", total}}}, {"weight_map", Json::object()}};
  for (size_t s = 0; s < shards; ++s) {
    const std::string name =
        shards == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", s + 1, shards);
    const auto tensors = std::span(plan).subspan(bounds[s], bounds[s + 1] - bounds[s]);
    for (const Planned& t : tensors) index["weight_map"][t.param->hf] = name;
    KL_TRY(write_shard(folder.file(name), tensors, total, done, progress));
  }
  return shards == 1 ? ok_status() : write_file(folder.file("model.safetensors.index.json"), to_text(index, 2) + "\n");
}

Result<Json> describe(const Architecture& architecture, Hyper hyper) {
  Json config{{"architectures", Json::array({std::string(architecture.hf_class)})},
              {"model_type", std::string(architecture.name)}};
  const auto io = make_hf_config_writer(config);
  architecture.config(*io, hyper);
  KL_TRY(io->status());
  return config;
}

/// Several classes of transformers share one GGUF architecture (Mistral is written as "llama"): the first whose
/// config.json keeps the sliding window.
Result<Json> config_of(const ModelSpec& spec) {
  for (const Architecture& a : architectures()) {
    if (a.gguf != spec.architecture->gguf) continue;
    KL_ASSIGN(Json config, describe(a, spec.hyper));
    HfDirectory hf;
    hf.config = config;
    const Checkpoint described = Checkpoint::of(std::move(hf));
    Hyper back;
    const auto io = make_config_reader(described, a.gguf);
    a.config(*io, back);
    if (io->status().ok() && back.window == spec.hyper.window) return config;
  }
  return error(Code::unsupported, "no configuration of transformers describes this {} model", spec.architecture->name);
}

std::string_view torch_dtype(DType type) {
  if (type == DType::f16) return "float16";
  return type == DType::bf16 ? "bfloat16" : "float32";
}

Json id_or_null(const TokenizerData& tokenizer, std::string_view role) {
  const auto id = tokenizer.special(role);
  return id ? Json(*id) : Json();
}

/// What of a directory lies beside its weights; those of a GGUF are made from its metadata.
Result<std::vector<TextFile>> files_beside(const Checkpoint& source, const ModelSpec& spec, DType type) {
  std::vector<TextFile> files;
  Json config;
  if (const HfDirectory* hf = source.hf()) {
    for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "generation_config.json",
                             "chat_template.jinja"}) {
      const std::string path = join_path(hf->path, name);
      if (!is_file(path)) continue;
      KL_ASSIGN(std::string content, read_file(path));
      files.push_back({name, std::move(content)});
    }
    config = hf->config;
  } else {
    KL_ASSIGN(const TokenizerData tokenizer, tokenizer_from_gguf(*source.gguf()));
    KL_ASSIGN(files, tokenizer_to_hf(tokenizer));
    KL_ASSIGN(config, config_of(spec));
    for (const auto& [key, role] :
         {std::pair("bos_token_id", "bos"), std::pair("eos_token_id", "eos"), std::pair("pad_token_id", "padding")}) {
      config[key] = id_or_null(tokenizer, role);
    }
  }
  config["torch_dtype"] = torch_dtype(type);
  files.push_back({"config.json", to_text(config, 2) + "\n"});
  return files;
}

}  // namespace

Status to_hugging_face(const Checkpoint& source, const std::string& folder, const ConvertOptions& options) {
  if (source.kind() == Checkpoint::Kind::hugging_face && options.adapter == nullptr) {
    return error(Code::unsupported, "{} is a Hugging Face directory already", source.path());
  }
  KL_ASSIGN(const ModelSpec spec, read_model_spec(source));
  KL_ASSIGN(const std::vector<Planned> plan, plan_weights(source, spec, options));
  // The narrowest type: norms may be wider than the weights.
  KL_ASSIGN(const std::vector<TextFile> files, files_beside(source, spec, plan.back().type));
  KL_ASSIGN(NewFolder out, NewFolder::create(folder));
  KL_TRY(write_weights(out, plan, options.progress));
  for (const TextFile& f : files) KL_TRY(write_file(out.file(f.name), f.content));
  return out.commit();
}

}  // namespace kinglet::convert
