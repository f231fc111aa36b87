#include "convert/synth.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "arch/model_spec.h"
#include "convert/gguf_header.h"
#include "convert/random_blocks.h"
#include "convert/synthetic_vocabulary.h"
#include "formats/hf_directory.h"
#include "host/file.h"
#include "host/testing.h"
#include "host/threads.h"
#include "kernels/kernels.h"
#include "tokenizer/tokenizer.h"

namespace kinglet::convert {
namespace {

Preset tiny(std::string_view model, std::string_view pre, int width) {
  Preset preset{.name = "tiny", .source = "nowhere", .config = {}, .tokenizer = {}};
  preset.config =
      parse_json(R"({"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "vocab_size": 700,
    "tie_word_embeddings": false})")
          .value();
  preset.config["hidden_size"] = width;
  preset.config["intermediate_size"] = 2 * width;
  preset.tokenizer = {{"model", model}, {"pre", pre}, {"add_bos", true}, {"special", {{"bos", 1}, {"eos", 699}}}};
  return preset;
}

TEST(RandomBlocks, HaveTheWantedSpreadInEveryType) {
  for (const DTypeInfo& d : kDTypes) {
    const DequantizeRow read = dequantize_row(d.dtype);
    if (!read) continue;
    constexpr int64_t kValues = 256 * 512;
    std::vector<std::byte> blocks(*row_bytes(d.dtype, kValues));
    Random random(7);
    fill_random(d.dtype, 0.02f, random, blocks);
    std::vector<float> values(kValues);
    read(blocks.data(), kValues, values.data());
    double sum = 0, squares = 0;
    for (const float v : values) {
      ASSERT_TRUE(std::isfinite(v)) << d.name;
      sum += v;
      squares += static_cast<double>(v) * v;
    }
    EXPECT_NEAR(sum / kValues, 0.0, 0.0004) << d.name;
    EXPECT_NEAR(std::sqrt(squares / kValues), 0.02, 0.002) << d.name;
  }
}

TEST(Presets, HaveTheParametersOfTheirModels) {
  const struct {
    const char* name;
    double billions;
  } kPublished[] = {{"llama-3.2-1b", 1.236},  {"llama-3.2-3b", 3.213},    {"mistral-7b-v0.1", 7.242},
                    {"phi-3-mini-4k", 3.821}, {"phi-3-mini-128k", 3.821}, {"phi-4", 14.660},
                    {"phi-4-mini", 3.836},    {"granite-3.2-2b", 2.534},  {"granite-3.2-8b", 8.171},
                    {"gemma-3-270m", 0.268},  {"gemma-3-1b", 1.000},      {"qwen2.5-0.5b", 0.494},
                    {"qwen3-0.6b", 0.596}};
  EXPECT_EQ(presets().value().size(), std::size(kPublished));
  for (const auto& p : kPublished) {
    const auto preset = find_preset(p.name);
    ASSERT_TRUE(preset.ok()) << p.name;
    HfDirectory hf;
    hf.config = preset->config;
    const auto spec = read_model_spec(Checkpoint::of(std::move(hf)));
    ASSERT_TRUE(spec.ok()) << p.name << ": " << spec.status().text();
    EXPECT_NEAR(static_cast<double>(parameter_count(spec->program)) / 1e9, p.billions,
                0.0006 * std::max(1.0, p.billions))
        << p.name;
  }
  EXPECT_EQ(find_preset("gpt-5").status().code(), Code::not_found);
}

TEST(SyntheticVocabulary, IsWholeAndUsable) {
  for (const auto& [model, pre] : {std::pair("gpt2", "qwen2"), std::pair("llama", "default")}) {
    const TokenizerData data = synthetic_vocabulary(tiny(model, pre, 64), 700);
    ASSERT_EQ(data.tokens.size(), 700u);
    EXPECT_EQ(std::set<std::string>(data.tokens.begin(), data.tokens.end()).size(), 700u) << model;
    EXPECT_EQ(data.special("bos"), 1u);
    EXPECT_EQ(data.special("eos"), 699u);
    EXPECT_EQ(data.tokens[1], "<|bos|>");
  }
}

TEST(SyntheticVocabulary, PhiHasTheTokensThatLlamaCppLooksUp) {
  for (const char* name : {"phi-3-mini-4k", "phi-3-mini-128k"}) {
    const TokenizerData data = synthetic_vocabulary(find_preset(name).value(), 32064);
    const std::set<std::string> tokens(data.tokens.begin(), data.tokens.end());
    for (const char* text : {"<unk>", "<s>", "</s>", "<|endoftext|>"}) EXPECT_TRUE(tokens.contains(text)) << text;
    EXPECT_EQ(data.tokens[*data.special("eos")], "<|endoftext|>");
  }
}

TEST(Synth, WritesAModelThatOpens) {
  TempFolder folder;
  for (const auto& [model, pre] : {std::pair("gpt2", "llama-bpe"), std::pair("llama", "default")}) {
    const std::string path = folder.file("m.gguf");
    ASSERT_TRUE(synthesize(tiny(model, pre, 256), path, {.type = DType::q4_k}).ok());
    const auto checkpoint = Checkpoint::open(path);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().text();
    const auto spec = read_model_spec(*checkpoint);
    ASSERT_TRUE(spec.ok()) << spec.status().text();
    EXPECT_EQ(spec->hyper.V, 700);
    for (const ParamInfo& p : spec->program.params) EXPECT_TRUE(find_param(*checkpoint, p).ok()) << p.gguf;
    EXPECT_EQ(checkpoint->find_tensor("blk.0.attn_q.weight")->dtype, DType::q4_k);
    EXPECT_EQ(checkpoint->find_tensor("token_embd.weight")->dtype, DType::q4_k);
    EXPECT_EQ(checkpoint->find_tensor("output.weight")->dtype, DType::q6_k);
    EXPECT_EQ(checkpoint->find_tensor("output_norm.weight")->dtype, DType::f32);
    const auto tokenizer = Tokenizer::load(*checkpoint);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
    const std::string text = "the tea and \xF0\x9F\x8C\xB1 123\n";
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << model;
  }
}

TEST(Synth, FallsBackWhereRowsAreNoWholeBlocks) {
  TempFolder folder;
  const std::string path = folder.file("m.gguf");
  Preset preset = tiny("llama", "default", 96);
  preset.config["tie_word_embeddings"] = true;
  ASSERT_TRUE(synthesize(preset, path, {.type = DType::q4_k}).ok());
  const auto checkpoint = Checkpoint::open(path).value();
  EXPECT_EQ(checkpoint.find_tensor("blk.0.attn_q.weight")->dtype, DType::q5_0);
  EXPECT_EQ(checkpoint.find_tensor("token_embd.weight")->dtype, DType::q8_0);  // the head too: Q6_K, then Q8_0
  EXPECT_FALSE(checkpoint.find_tensor("output.weight").has_value());
}

TEST(Synth, DoesNotDependOnThreads) {
  TempFolder folder;
  ThreadPool pool(3);
  const Preset preset = tiny("llama", "default", 256);
  ASSERT_TRUE(synthesize(preset, folder.file("a"), {.type = DType::q5_k, .seed = 5}).ok());
  ASSERT_TRUE(synthesize(preset, folder.file("b"), {.type = DType::q5_k, .seed = 5, .parallel = pool.parallel()}).ok());
  ASSERT_TRUE(synthesize(preset, folder.file("c"), {.type = DType::q5_k, .seed = 6}).ok());
  EXPECT_EQ(read_file(folder.file("a")).value(), read_file(folder.file("b")).value());
  EXPECT_NE(read_file(folder.file("a")).value(), read_file(folder.file("c")).value());
  EXPECT_EQ(synthesize(preset, folder.file("d"), {.type = DType::i8}).code(), Code::invalid_argument);
  EXPECT_EQ(folder.entries(), 3);
}

}  // namespace
}  // namespace kinglet::convert
