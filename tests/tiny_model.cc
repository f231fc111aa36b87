#include "tiny_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "formats/safetensors.h"
#include "host/file.h"

namespace kinglet {
namespace {

Hyper tiny_hyper() {
  Hyper h;
  h.V = kTinyVocabulary;
  h.C = 32;
  h.L = 2;
  h.H = 4;
  h.G = 2;
  h.D = 8;
  h.F = 64;
  h.context = 128;
  return h;
}

/// The parameters that the architecture's own program declares, so that names and shapes are written once.
std::vector<TinyTensor> tiny_tensors(bool gguf, const Damage& damage) {
  const Hyper h = tiny_hyper();
  Builder builder(h, gguf);
  const auto found = std::find_if(architectures().begin(), architectures().end(),
                                  [](const Architecture& a) { return a.name == "llama"; });
  const auto program = found->build(builder, h);
  EXPECT_TRUE(program.ok()) << program.status().text();
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<TinyTensor> out;
  for (const ParamInfo& p : program->params) {
    TinyTensor t{gguf ? p.gguf : p.hf, p.shape, std::vector<float>(static_cast<size_t>(*p.shape.count()), 1.0f)};
    if (p.kind != ParamKind::norm) std::generate(t.values.begin(), t.values.end(), [&] { return normal(random); });
    if (!damage.tensor || damage.tensor(t)) out.push_back(std::move(t));
  }
  return out;
}

/// Three special tokens, the 256 bytes, and five pieces.
struct Pieces {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<float> scores = {0, 0, 0};
  std::vector<int32_t> types = {2, 3, 3};
  Pieces() {
    for (int b = 0; b < 256; ++b) add(fmt::format("<0x{:02X}>", b), 0, 6);
    float score = -1;
    for (const char* piece : {"\xE2\x96\x81", "a", "b", "ab",
                              "\xE2\x96\x81"
                              "ab"})
      add(piece, score--, 1);
  }
  void add(std::string text, float score, int32_t type) {
    tokens.push_back(std::move(text));
    scores.push_back(score);
    types.push_back(type);
  }
};

std::map<std::string, gguf::Value> tiny_metadata() {
  const Hyper h = tiny_hyper();
  const auto u32 = [](int64_t v) { return gguf::Value(static_cast<uint32_t>(v)); };
  Pieces p;
  return {{"general.architecture", std::string("llama")},
          {"llama.context_length", u32(h.context)},
          {"llama.embedding_length", u32(h.C)},
          {"llama.block_count", u32(h.L)},
          {"llama.feed_forward_length", u32(h.F)},
          {"llama.attention.head_count", u32(h.H)},
          {"llama.attention.head_count_kv", u32(h.G)},
          {"llama.attention.layer_norm_rms_epsilon", 1e-5f},
          {"llama.rope.freq_base", 10000.0f},
          {"llama.rope.dimension_count", u32(h.D)},
          {"tokenizer.ggml.model", std::string("llama")},
          {"tokenizer.ggml.tokens", gguf::make_array(p.tokens)},
          {"tokenizer.ggml.scores", gguf::make_array(p.scores)},
          {"tokenizer.ggml.token_type", gguf::make_array(p.types)},
          {"tokenizer.ggml.bos_token_id", u32(1)},
          {"tokenizer.ggml.eos_token_id", u32(2)}};
}

std::span<const std::byte> bytes_of(const TinyTensor& t) { return std::as_bytes(std::span(t.values)); }

std::string tiny_config(const Damage& damage) {
  const Hyper h = tiny_hyper();
  Json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"max_position_embeddings", h.context},
                 {"hidden_size", h.C},
                 {"num_hidden_layers", h.L},
                 {"intermediate_size", h.F},
                 {"num_attention_heads", h.H},
                 {"num_key_value_heads", h.G},
                 {"rms_norm_eps", 1e-5},
                 {"rope_theta", 10000.0},
                 {"vocab_size", h.V}};
  if (damage.config) damage.config(config);
  return config.dump();
}

std::string tiny_tokenizer() {
  Json vocab = Json::array();
  const Pieces p;
  for (size_t i = 0; i < p.tokens.size(); ++i) vocab.push_back({p.tokens[i], p.scores[i]});
  return Json{{"model", {{"type", "Unigram"}, {"unk_id", 0}, {"byte_fallback", true}, {"vocab", vocab}}},
              {"added_tokens", Json::array()}}
      .dump();
}

}  // namespace

void write_tiny_gguf(const std::string& path, const Damage& damage) {
  auto metadata = tiny_metadata();
  for (const auto& [key, value] : damage.set) metadata[key] = value;
  for (const std::string& key : damage.without) metadata.erase(key);
  gguf::Writer w(path);
  for (const auto& [key, value] : metadata) w.set(key, value);
  const auto tensors = tiny_tensors(true, damage);
  for (const TinyTensor& t : tensors) ASSERT_TRUE(w.declare(t.name, DType::f32, t.shape).ok());
  ASSERT_TRUE(w.begin().ok());
  for (const TinyTensor& t : tensors) ASSERT_TRUE(w.write_tensor(bytes_of(t)).ok());
  const Status status = w.finish().status();
  ASSERT_TRUE(status.ok()) << status.text();
}

void write_tiny_folder(const std::string& folder, const Damage& damage) {
  ASSERT_TRUE(make_directories(folder).ok());
  const auto tensors = tiny_tensors(false, damage);
  std::vector<safetensors::OutTensor> out;
  for (const TinyTensor& t : tensors) out.push_back({t.name, DType::f32, t.shape, bytes_of(t)});
  ASSERT_TRUE(safetensors::write(join_path(folder, "model.safetensors"), out).ok());
  ASSERT_TRUE(write_file(join_path(folder, "config.json"), tiny_config(damage)).ok());
  ASSERT_TRUE(write_file(join_path(folder, "tokenizer.json"), tiny_tokenizer()).ok());
}

}  // namespace kinglet
