#include "convert/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "convert/gguf_header.h"
#include "convert/tokenizer_data.h"
#include "formats/hf_directory.h"
#include "host/file.h"
#include "host/testing.h"
#include "tokenizer/tokenizer.h"

namespace kinglet::convert {
namespace {

const char* const kDecoders[] = {"llama-3.2",  "mistral-7b-v0.1", "phi-3-mini-4k", "phi-3-mini-128k", "phi-4",
                                 "phi-4-mini", "granite-3.2",     "gemma-3",       "qwen2.5",         "qwen3"};

std::string fixture(const std::string& name) { return std::string(KINGLET_SHARED_DIR) + "/fixtures/models/" + name; }

#define SKIP_WITHOUT_FIXTURES() \
  if (!is_directory(fixture("llama-3.2"))) GTEST_SKIP() << "shared model fixtures are absent: " << fixture("")

Status convert_to(const std::string& from, const std::string& to, std::optional<DType> type = std::nullopt) {
  KL_ASSIGN(const Checkpoint source, Checkpoint::open(from));
  return to.ends_with(".gguf") ? to_gguf(source, to, {.type = type, .name = {}, .progress = {}}).status()
                               : to_hugging_face(source, to, {.type = type, .name = {}, .progress = {}});
}

/// The largest difference of two tensors of f32; infinity where they are not alike.
float difference(const TensorView& a, const TensorView& b) {
  if (a.dtype != DType::f32 || b.dtype != DType::f32 || a.shape != b.shape) return INFINITY;
  std::vector<float> x(a.data.size() / 4), y(x.size());
  std::memcpy(x.data(), a.data.data(), a.data.size());
  std::memcpy(y.data(), b.data.data(), b.data.size());
  float most = 0;
  for (size_t i = 0; i < x.size(); ++i) most = std::max(most, std::abs(x[i] - y[i]));
  return most;
}

TEST(Convert, GoesToGgufAndBack) {
  SKIP_WITHOUT_FIXTURES();
  for (const char* name : kDecoders) {
    TempFolder folder;
    const Status there = convert_to(fixture(name), folder.file("m.gguf"), DType::f32);
    ASSERT_TRUE(there.ok()) << name << ": " << there.text();
    const Status back = convert_to(folder.file("m.gguf"), folder.file("back"));
    ASSERT_TRUE(back.ok()) << name << ": " << back.text();
    const Checkpoint original = Checkpoint::open(fixture(name)).value(),
                     again = Checkpoint::open(folder.file("back")).value();
    const auto tensors = original.hf()->weights->tensors();
    EXPECT_EQ(tensors.size(), again.hf()->weights->tensors().size()) << name;
    for (const auto& t : tensors) {
      const auto b = again.find_tensor(t.name);
      ASSERT_TRUE(b.has_value()) << name << ": " << t.name;
      // Gemma's norms are stored as 1 + w, which rounds w to the spacing of f32 near 1.
      const bool plus_one = std::string_view(name) == "gemma-3" && t.name.ends_with("norm.weight");
      EXPECT_LE(difference({t.dtype, t.shape, t.data}, *b), plus_one ? 1.2e-7f : 0.0f) << name << ": " << t.name;
    }
  }
}

TEST(Convert, KeepsTheProgram) {
  SKIP_WITHOUT_FIXTURES();
  for (const char* name : kDecoders) {
    TempFolder folder;
    ASSERT_TRUE(convert_to(fixture(name), folder.file("m.gguf"), DType::f32).ok());
    ASSERT_TRUE(convert_to(folder.file("m.gguf"), folder.file("back")).ok());
    const auto first = read_model_spec(Checkpoint::open(fixture(name)).value());
    for (const char* file : {"m.gguf", "back"}) {
      const auto second = read_model_spec(Checkpoint::open(folder.file(file)).value());
      ASSERT_TRUE(second.ok()) << name << ": " << second.status().text();
      ASSERT_EQ(first->program.steps.size(), second->program.steps.size()) << name;
      for (size_t i = 0; i < first->program.steps.size(); ++i) {
        const Attr &a = first->program.steps[i].attr, &b = second->program.steps[i].attr;
        EXPECT_FLOAT_EQ(a.eps, b.eps) << name << " step " << i;
        EXPECT_FLOAT_EQ(a.factor, b.factor) << name << " step " << i;
        EXPECT_FLOAT_EQ(a.scale, b.scale) << name << " step " << i;
        EXPECT_EQ(a.window, b.window) << name << " step " << i;
        EXPECT_EQ(a.rotary, b.rotary) << name << " step " << i;
      }
      for (size_t i = 0; i < first->program.ropes.size(); ++i) {
        const RopeTable &a = first->program.ropes[i], &b = second->program.ropes[i];
        EXPECT_FLOAT_EQ(a.magnitude, b.magnitude) << name;
        ASSERT_EQ(a.freq.size(), b.freq.size()) << name;
        for (size_t k = 0; k < a.freq.size(); ++k) EXPECT_NEAR(a.freq[k], b.freq[k], 1e-6f * a.freq[k]) << name;
        EXPECT_EQ(a.long_freq.size(), b.long_freq.size()) << name;
      }
    }
  }
}

TEST(Convert, WritesTheKeysOfLlamaCpp) {
  SKIP_WITHOUT_FIXTURES();
  TempFolder folder;
  ASSERT_TRUE(convert_to(fixture("llama-3.2"), folder.file("m.gguf"), DType::q8_0).ok());
  const auto file = gguf::File::open(folder.file("m.gguf")).value();
  EXPECT_EQ(file.get_string("general.architecture"), "llama");
  EXPECT_EQ(file.get_string("general.type"), "model");
  EXPECT_EQ(file.get_string("general.name"), "llama-3.2");
  EXPECT_EQ(file.get_int("general.file_type"), 7);
  EXPECT_EQ(file.get_int("general.quantization_version"), 2);
  EXPECT_EQ(file.get_int("llama.block_count"), 3);
  EXPECT_EQ(file.get_int("llama.vocab_size"), 320);
  EXPECT_EQ(file.get_int("llama.rope.dimension_count"), 16);
  EXPECT_EQ(file.get_string("tokenizer.ggml.model"), "none");
  EXPECT_EQ(file.find_tensor("blk.0.attn_q.weight")->dtype, DType::q8_0);
  EXPECT_EQ(file.find_tensor("blk.0.attn_norm.weight")->dtype, DType::f32);
  EXPECT_EQ(file.find_tensor("rope_freqs.weight")->shape, (Shape{8}));
  EXPECT_EQ(file.find_tensor("output.weight"), nullptr);
  ASSERT_TRUE(convert_to(fixture("phi-4"), folder.file("p.gguf"), DType::f16).ok());
  const auto phi = gguf::File::open(folder.file("p.gguf")).value();
  EXPECT_EQ(phi.get_int("phi3.attention.sliding_window"), 0);
  EXPECT_EQ(phi.get_int("phi3.rope.scaling.original_context_length"), 256);
  EXPECT_EQ(phi.get_int("general.file_type"), 1);
}

TEST(Convert, RefusesWhatItWouldLose) {
  SKIP_WITHOUT_FIXTURES();
  TempFolder folder;
  ASSERT_TRUE(convert_to(fixture("qwen2.5"), folder.file("q.gguf"), DType::q8_0).ok());
  const Status quantized = convert_to(folder.file("q.gguf"), folder.file("hf"));
  EXPECT_EQ(quantized.code(), Code::unsupported);
  EXPECT_TRUE(convert_to(folder.file("q.gguf"), folder.file("hf"), DType::bf16).ok());
  EXPECT_EQ(convert_to(folder.file("q.gguf"), folder.file("hf"), DType::bf16).code(), Code::io);  // exists
  EXPECT_EQ(folder.entries(), 2);

  // Weights that the architecture does not know: a Qwen's biases under Llama's name.
  const Checkpoint qwen = Checkpoint::open(fixture("qwen2.5")).value();
  Json config = qwen.hf()->config;
  config["architectures"] = Json::array({"LlamaForCausalLM"});
  ASSERT_TRUE(make_directories(folder.file("odd")).ok());
  ASSERT_TRUE(write_file(folder.file("odd/config.json"), config.dump()).ok());
  ASSERT_TRUE(
      write_file(folder.file("odd/model.safetensors"), read_file(fixture("qwen2.5") + "/model.safetensors").value())
          .ok());
  const Status odd = convert_to(folder.file("odd"), folder.file("odd.gguf"));
  EXPECT_EQ(odd.code(), Code::unsupported);
  EXPECT_NE(odd.text().find("bias"), std::string_view::npos) << odd.text();
  EXPECT_FALSE(is_file(folder.file("odd.gguf")));
}

TEST(Convert, GgufToGgufKeepsTheTokenizer) {
  SKIP_WITHOUT_FIXTURES();
  TempFolder folder;
  ASSERT_TRUE(convert_to(fixture("gemma-3"), folder.file("a.gguf"), DType::f32).ok());
  ASSERT_TRUE(convert_to(folder.file("a.gguf"), folder.file("b.gguf"), DType::f16).ok());
  const auto a = gguf::File::open(folder.file("a.gguf")).value(), b = gguf::File::open(folder.file("b.gguf")).value();
  EXPECT_EQ(b.find_tensor("blk.0.ffn_up.weight")->dtype, DType::f16);
  EXPECT_EQ(a.metadata().size(), b.metadata().size());
  const gguf::Tensor *x = a.find_tensor("output_norm.weight"), *y = b.find_tensor("output_norm.weight");
  EXPECT_EQ(std::memcmp(x->data.data(), y->data.data(), x->data.size()), 0);
}

// -- tokenizers --

void put(const TempFolder& folder, const TokenizerData& data) {
  const auto files = tokenizer_to_hf(data);
  ASSERT_TRUE(files.ok()) << files.status().text();
  for (const TextFile& f : *files) ASSERT_TRUE(write_file(folder.file(f.name), f.content).ok());
}

TEST(ConvertTokenizer, GoesToHuggingFaceAndBack) {
  const std::string vocab = std::string(KINGLET_SHARED_DIR) + "/fixtures/vocab/";
  if (!is_directory(vocab)) GTEST_SKIP() << "shared vocabularies are absent: " << vocab;
  for (const char* name : {"llama-bpe", "phi-3", "gpt-2", "llama-spm"}) {
    TempFolder folder;
    const Checkpoint source = Checkpoint::open(vocab + name + ".gguf").value();
    const auto read = tokenizer_from_gguf(*source.gguf());
    ASSERT_TRUE(read.ok()) << name << ": " << read.status().text();
    put(folder, *read);
    const Checkpoint directory = Checkpoint::open(folder.path()).value();
    const auto back = tokenizer_from_hf(*directory.hf(), static_cast<int64_t>(read->tokens.size()));
    ASSERT_TRUE(back.ok()) << name << ": " << back.status().text();
    EXPECT_EQ(read->model, back->model) << name;
    EXPECT_EQ(read->pre, back->pre) << name;
    EXPECT_EQ(read->tokens, back->tokens) << name;
    EXPECT_EQ(read->merges, back->merges) << name;
    EXPECT_EQ(read->chat_template, back->chat_template) << name;
    const auto first = Tokenizer::load(source), second = Tokenizer::load(directory);
    ASSERT_TRUE(first.ok() && second.ok()) << name << ": " << second.status().text();
    for (const char* text :
         {"Hello, world! It's 2026.", "  two  spaces\n\n\ttabs", "naïve café 北京 🌱 1234567 x=y+z;"}) {
      EXPECT_EQ(first->encode(text), second->encode(text)) << name << ": " << text;
    }
    EXPECT_EQ(first->bos(), second->bos()) << name;
    EXPECT_EQ(first->eos(), second->eos()) << name;
  }
}

TEST(ConvertTokenizer, ReadsTheSpecialTokensOfADirectory) {
  HfDirectory hf;
  hf.path = "made";
  hf.tokenizer =
      parse_json(
          R"({"added_tokens": [{"id": 4, "content": "<s>", "special": true}, {"id": 5, "content": "a▁b", "special": false},
      {"id": 6, "content": "<|x|>", "special": false}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}})")
          .value();
  hf.tokenizer_config = parse_json(R"({"bos_token": {"content": "<s>"}, "add_eos_token": false})").value();
  hf.config = parse_json(R"({"eos_token_id": [6, 4], "pad_token_id": 6})").value();
  const auto data = tokenizer_from_hf(hf, 8);
  ASSERT_TRUE(data.ok()) << data.status().text();
  EXPECT_EQ(data->pre, "gpt-2");
  EXPECT_EQ(data->tokens, (std::vector<std::string>{"a", "b", "ab", "[PAD3]", "<s>", "a b", "<|x|>", "[PAD7]"}));
  EXPECT_EQ(data->types, (std::vector<int32_t>{1, 1, 1, 5, 3, 4, 3, 5}));
  EXPECT_EQ(data->merges, (std::vector<std::string>{"a b"}));
  EXPECT_EQ(data->special("bos"), 4u);
  EXPECT_EQ(data->special("eos"), std::nullopt);  // a list is generation_config's business
  EXPECT_EQ(data->special("padding"), 6u);
  EXPECT_EQ(data->add("bos"), true);
  EXPECT_EQ(data->add("eos"), false);

  hf.tokenizer["model"]["vocab"]["c"] = -1;
  EXPECT_EQ(tokenizer_from_hf(hf, 8).status().code(), Code::corrupt);
  hf.tokenizer["model"]["vocab"]["c"] = 1e18;
  EXPECT_EQ(tokenizer_from_hf(hf, 8).status().code(), Code::corrupt);
  hf.tokenizer["model"] = {{"type", "WordLevel"}};
  EXPECT_EQ(tokenizer_from_hf(hf, 8).status().code(), Code::unsupported);
}

TEST(GgufHeader, NamesSizes) {
  EXPECT_EQ(size_label(7'241'732'096), "7.2B");
  EXPECT_EQ(size_label(268'098'176), "268M");
  EXPECT_EQ(size_label(14'659'507'200), "15B");
  EXPECT_EQ(size_label(64'000), "64K");
}

}  // namespace
}  // namespace kinglet::convert
