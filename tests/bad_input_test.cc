// Bad input as a user meets it: a damaged model gives one clear line and a failing exit code, whatever the command, and never a crash.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "formats/hostile_testing.h"
#include "formats/json.h"
#include "host/file.h"
#include "host/testing.h"
#include "run_program.h"
#include "tiny_model.h"

namespace kinglet {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<std::string> logits(const std::string& model) {
  return {"logits", model, "--ids", "1,5,9", "--threads", "1"};
}
std::vector<std::string> inspect(const std::string& model) {
  return {"inspect", model, "--threads", "1", "--tensors", "--program"};
}
std::vector<std::string> tokenize(const std::string& model) { return {"tokenize", model, "ab ab \xFF"}; }

/// "kinglet COMMAND: text" on one line, without anything that steers a terminal.
void expect_one_line(const Outcome& o) {
  EXPECT_GT(o.code, 0) << o.err;
  EXPECT_LT(o.code, 128) << o.err;
  EXPECT_TRUE(o.err.starts_with("kinglet ")) << o.err;
  EXPECT_EQ(o.err.find('\n'), o.err.size() - 1) << o.err;
  EXPECT_EQ(o.err.find('\x1B'), std::string::npos);
}

class BadInput : public testing::Test {
 protected:
  void SetUp() override { setenv("KINGLET_HOME", folder_.file("home").c_str(), 1); }
  void TearDown() override { unsetenv("KINGLET_HOME"); }

  std::string gguf(const Damage& damage) {
    const std::string path = folder_.file("m.gguf");
    write_tiny_gguf(path, damage);
    return path;
  }
  std::string folder(const Damage& damage) {
    const std::string path = folder_.file("m");
    write_tiny_folder(path, damage);
    return path;
  }
  static void expect_refused(const std::string& model) {
    expect_one_line(run(logits(model)));
    expect_one_line(run(inspect(model)));
  }
  // Damage may hit what nobody reads; what is refused is refused well.
  static void expect_survived(const std::string& model) {
    for (const auto& words : {logits(model), inspect(model), tokenize(model)})
      if (const Outcome o = run(words); o.code != 0) expect_one_line(o);
  }
  static void put(const std::string& path, std::string_view text) { ASSERT_TRUE(write_file(path, text).ok()); }
  static void put(const std::string& path, std::span<const std::byte> bytes) {
    put(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }

  TempFolder folder_;
};

TEST_F(BadInput, TheWholeModelsRun) {
  for (const std::string& model : {gguf({}), folder({})}) {
    for (const auto& words : {logits(model), inspect(model), tokenize(model)}) {
      const Outcome o = run(words);
      EXPECT_EQ(o.code, 0) << words[0] << ": " << o.err;
      EXPECT_EQ(o.err, "");
      EXPECT_NE(o.out, "");
    }
  }
}

TEST_F(BadInput, NoSuchModel) {
  expect_refused(folder_.file("absent.gguf"));
  std::filesystem::create_directories(folder_.file("empty"));
  expect_refused(folder_.file("empty"));
  put(folder_.file("text.gguf"), "not a model\n");
  expect_refused(folder_.file("text.gguf"));
  put(folder_.file("none.gguf"), "");
  expect_refused(folder_.file("none.gguf"));
}

TEST_F(BadInput, IdsOutsideTheVocabulary) {
  const std::string model = gguf({});
  for (const char* ids : {"264", "-1", "2147483647"}) expect_one_line(run({"logits", model, "--ids", ids}));
  EXPECT_NE(run({"logits", model, "--ids", "one"}).code, 0);
  EXPECT_NE(run({"logits", model, "--ids", "99999999999"}).code, 0);
}

// -- GGUF --

TEST_F(BadInput, WordsThatExcludeEachOther) {
  const Outcome o = run({"perplexity", gguf({}), folder_.file("text"), "--all-tokens", "--chunks", "2"});
  expect_one_line(o);
  EXPECT_NE(o.err.find("--chunks"), std::string::npos) << o.err;
}

TEST_F(BadInput, GgufMetadata) {
  const auto u32 = [](uint32_t v) { return gguf::Value(v); };
  const std::pair<const char*, gguf::Value> cases[] = {
      {"llama.block_count", u32(1'000'000'000)},
      {"llama.block_count", u32(0)},
      {"llama.block_count", int32_t{-2}},
      {"llama.block_count", std::string("two")},
      {"llama.block_count", uint64_t{1} << 40},
      {"llama.block_count", u32(3)},
      {"llama.context_length", uint64_t{1} << 40},
      {"llama.context_length", std::numeric_limits<uint64_t>::max()},
      {"llama.context_length", u32(0)},
      {"llama.embedding_length", u32(0)},
      {"llama.embedding_length", u32(33)},
      {"llama.embedding_length", uint64_t{1} << 62},
      {"llama.feed_forward_length", u32(65)},
      {"llama.feed_forward_length", u32(4'000'000'000)},
      {"llama.attention.head_count", u32(0)},
      {"llama.attention.head_count", u32(5)},
      {"llama.attention.head_count", u32(4'000'000'000)},
      {"llama.attention.head_count_kv", u32(0)},
      {"llama.attention.head_count_kv", u32(3)},
      {"llama.attention.head_count_kv", int32_t{-1}},
      {"llama.attention.key_length", u32(7)},
      {"llama.attention.key_length", u32(1'000'000)},
      {"llama.attention.layer_norm_rms_epsilon", kNan},
      {"llama.attention.layer_norm_rms_epsilon", -1.0f},
      {"llama.rope.dimension_count", u32(0)},
      {"llama.rope.dimension_count", u32(3)},
      {"llama.rope.dimension_count", u32(1'000'000)},
      {"llama.rope.freq_base", 0.0f},
      {"llama.rope.freq_base", -10000.0f},
      {"llama.rope.freq_base", kNan},
      {"llama.rope.freq_base", std::numeric_limits<float>::infinity()},
      {"general.architecture", u32(7)},
  };
  for (const auto& [key, value] : cases) {
    SCOPED_TRACE(fmt::format("{} (alternative {})", key, value.index()));
    expect_refused(gguf({.set = {{key, value}}}));
  }
  for (const char* key :
       {"general.architecture", "llama.context_length", "llama.embedding_length", "llama.block_count",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"}) {
    SCOPED_TRACE(key);
    expect_refused(gguf({.without = {key}}));
  }
}

TEST_F(BadInput, WhatIsNotSupportedIsInspectedAndNotRun) {
  for (const std::string& model :
       {gguf({.set = {{"llama.attention.value_length", uint32_t{4}}}}), folder({.config = [](Json& config) {
          config["rope_scaling"] = {{"rope_type", "unheard-of"}, {"factor", 2}};
        }})}) {
    expect_one_line(run(logits(model)));
    EXPECT_EQ(run(inspect(model)).code, 0);
  }
}

TEST_F(BadInput, UnknownArchitectureIsInspectedAndNotRun) {
  const std::string model = gguf({.set = {{"general.architecture", std::string("mamba\x1B[2J\n")}}});
  expect_one_line(run(logits(model)));
  const Outcome o = run(inspect(model));
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.out.find("Kinglet cannot run it"), std::string::npos);
  EXPECT_EQ(o.out.find('\x1B'), std::string::npos);
}

TEST_F(BadInput, VocabularyOnlyIsTokenizedAndInspected) {
  const std::string model = gguf({.tensor = [](TinyTensor&) { return false; }});
  expect_one_line(run(logits(model)));
  EXPECT_EQ(run(tokenize(model)).code, 0);
  EXPECT_EQ(run(inspect(model)).code, 0);
}

TEST_F(BadInput, TokenizerMetadata) {
  const std::pair<const char*, gguf::Value> cases[] = {
      {"tokenizer.ggml.model", std::string("telepathy")},
      {"tokenizer.ggml.model", uint32_t{1}},
      {"tokenizer.ggml.tokens", gguf::make_array(std::vector<int32_t>{1, 2, 3})},
      {"tokenizer.ggml.tokens", gguf::make_array(std::vector<std::string>{})},
      {"tokenizer.ggml.scores", gguf::make_array(std::vector<float>{1})},
      {"tokenizer.ggml.token_type", gguf::make_array(std::vector<int32_t>{1})},
      {"tokenizer.ggml.bos_token_id", uint32_t{1'000'000}},
      {"tokenizer.ggml.eos_token_id", int32_t{-5}},
  };
  for (const auto& [key, value] : cases) {
    SCOPED_TRACE(fmt::format("{} (alternative {})", key, value.index()));
    const Outcome o = run(tokenize(gguf({.set = {{key, value}}})));
    if (o.code != 0) expect_one_line(o);
  }
  expect_one_line(run(tokenize(gguf({.set = {{"tokenizer.ggml.model", std::string("telepathy")}}}))));
  expect_one_line(run(tokenize(gguf({.without = {"tokenizer.ggml.tokens"}}))));
}

TEST_F(BadInput, GgufTensors) {
  expect_refused(gguf({.tensor = [](TinyTensor& t) { return t.name != "blk.1.ffn_up.weight"; }}));
  expect_refused(gguf({.tensor = [](TinyTensor& t) { return t.name != "blk.0.attn_norm.weight"; }}));
  expect_refused(gguf({.tensor = [](TinyTensor& t) {
    if (t.name == "blk.0.attn_q.weight") t.shape = {t.shape[0] * 2, t.shape[1] / 2};
    return true;
  }}));
  expect_refused(gguf({.tensor = [](TinyTensor& t) {
    if (t.name == "output_norm.weight") t.shape = {t.shape[0], 1};
    return true;
  }}));
}

TEST_F(BadInput, WeightsThatAreNotNumbers) {
  for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
    for (const char* name :
         {"blk.0.attn_norm.weight", "blk.1.ffn_down.weight", "blk.0.attn_v.weight", "output_norm.weight"}) {
      SCOPED_TRACE(name);
      expect_one_line(run(logits(gguf({.tensor = [&](TinyTensor& t) {
        if (t.name == name) t.values[3] = bad;
        return true;
      }}))));
    }
  }
}

TEST_F(BadInput, GgufCutShort) {
  const auto whole = read_file(gguf({}));
  ASSERT_TRUE(whole.ok());
  const std::string path = folder_.file("cut.gguf");
  for (size_t n = 0; n < whole->size(); n += n < 12'000 ? 401 : 9973) {
    SCOPED_TRACE(n);
    put(path, std::string_view(*whole).substr(0, n));
    expect_refused(path);
  }
}

TEST_F(BadInput, GgufFlipped) {
  // Most of the file is weights: the tensors' data is left out, so that what is hit is the header.
  for (const bool with_tensors : {false, true}) {
    const auto whole = read_file(gguf({.tensor = [&](TinyTensor&) { return with_tensors; }}));
    ASSERT_TRUE(whole.ok());
    const std::string path = folder_.file("flipped.gguf");
    for_each_flip(*whole, 60, [&](std::span<const std::byte> bytes) {
      put(path, bytes);
      expect_survived(path);
    });
  }
}

// -- Hugging Face folders --

TEST_F(BadInput, Configuration) {
  const std::pair<const char*, const char*> cases[] = {
      {"architectures", "[]"},
      {"architectures", "\"LlamaForCausalLM\""},
      {"architectures", "[5]"},
      {"hidden_size", "0"},
      {"hidden_size", "-32"},
      {"hidden_size", "33"},
      {"hidden_size", "\"32\""},
      {"hidden_size", "1e300"},
      {"hidden_size", "18446744073709551615"},
      {"num_hidden_layers", "1000000000"},
      {"num_hidden_layers", "1.5"},
      {"num_hidden_layers", "null"},
      {"num_attention_heads", "0"},
      {"num_attention_heads", "5"},
      {"num_key_value_heads", "3"},
      {"num_key_value_heads", "0"},
      {"head_dim", "7"},
      {"head_dim", "100000000"},
      {"max_position_embeddings", "1099511627776"},
      {"max_position_embeddings", "-1"},
      {"vocab_size", "1099511627776"},
      {"vocab_size", "5"},
      {"rms_norm_eps", "\"small\""},
      {"rms_norm_eps", "-1"},
      {"rope_theta", "0"},
      {"rope_theta", "-1"},
      {"rope_theta", "[]"},
      {"rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 0}"},
      {"rope_scaling", "{\"rope_type\": \"linear\", \"factor\": -3}"},
      {"rope_scaling", "{\"rope_type\": \"longrope\", \"long_factor\": [1], \"short_factor\": [\"x\"]}"},
      {"intermediate_size", "65"},
      {"intermediate_size", "9223372036854775807"},
  };
  for (const auto& [key, value] : cases) {
    SCOPED_TRACE(fmt::format("{}: {}", key, value));
    expect_refused(folder({.config = [&, k = key, v = value](Json& config) { config[k] = *parse_json(v); }}));
  }
}

TEST_F(BadInput, ConfigurationThatIsNoObject) {
  const std::string model = folder({});
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"), std::string("null"),
                                  std::string("\xFF\xFE"), std::string(100'000, '['), std::string("{\"a\": 1e999}")}) {
    put(join_path(model, "config.json"), text);
    SCOPED_TRACE(text.substr(0, 20));
    expect_refused(model);
  }
}

TEST_F(BadInput, FolderTensors) {
  expect_refused(folder({.tensor = [](TinyTensor& t) { return t.name != "model.layers.1.mlp.up_proj.weight"; }}));
  expect_refused(folder({.tensor = [](TinyTensor& t) {
    if (t.name == "model.layers.0.self_attn.k_proj.weight") t.shape = {t.shape[1], t.shape[0]};
    return true;
  }}));
  expect_one_line(run(logits(folder({.tensor = [](TinyTensor& t) {
    if (t.name == "model.layers.0.mlp.down_proj.weight") t.values[0] = kNan;
    return true;
  }}))));
}

TEST_F(BadInput, FolderFilesCutShortAndFlipped) {
  const std::string model = folder({});
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json"}) {
    const std::string path = join_path(model, name);
    const auto whole = read_file(path);
    ASSERT_TRUE(whole.ok());
    const bool tokenizer = std::string_view(name) == "tokenizer.json";
    for (size_t n = 0; n < whole->size(); n += whole->size() / 12 + 1) {
      SCOPED_TRACE(fmt::format("{} cut to {}", name, n));
      put(path, std::string_view(*whole).substr(0, n));
      if (tokenizer) expect_one_line(run(tokenize(model)));
      else expect_refused(model);
    }
    for_each_flip(std::string_view(*whole).substr(0, 4000), 30, [&](std::span<const std::byte> bytes) {
      put(path, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) + whole->substr(bytes.size()));
      expect_survived(model);
    });
    put(path, *whole);
  }
}

TEST_F(BadInput, TokenizerJson) {
  const std::string model = folder({});
  for (const char* text : {"{}", "{\"model\": 3}", "{\"model\": {\"type\": \"Unigram\"}}",
                           "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", \"b\"]]}}",
                           "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"ab\"]}}",
                           "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": -1}, \"merges\": []}}",
                           "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 4000000000}, \"merges\": []}}",
                           "{\"model\": {\"type\": \"Mystery\", \"vocab\": {}}}",
                           "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": \"b\"}}}"}) {
    SCOPED_TRACE(text);
    put(join_path(model, "tokenizer.json"), text);
    expect_one_line(run(tokenize(model)));
  }
}

TEST_F(BadInput, AnIndexThatLeavesItsFolder) {
  const std::string model = folder({});
  std::filesystem::rename(join_path(model, "model.safetensors"), folder_.file("outside.safetensors"));
  put(join_path(model, "model.safetensors.index.json"),
      R"({"weight_map": {"model.norm.weight": "../outside.safetensors"}})");
  expect_refused(model);
}

// -- writing --

#ifndef _WIN32
/// The program itself behind a shell, for what can only be had there.
Outcome shell(const std::string& script) {
  FILE* pipe = popen(("exec 2>&1; " + script).c_str(), "r");  // NOLINT(cert-env33-c): a test's own words
  Outcome o;
  for (int c = 0; pipe != nullptr && (c = fgetc(pipe)) != EOF;) o.err += static_cast<char>(c);
  o.code = pipe == nullptr ? -1 : WEXITSTATUS(pclose(pipe));
  return o;
}

TEST_F(BadInput, FoldersThatCannotBeWritten) {
  const std::string model = gguf({});
  const std::string absent = folder_.file("no/such/folder/logits.safetensors"),
                    under_a_file = join_path(model, "logits.safetensors");
  for (const std::string& out : {absent, under_a_file}) {
    auto words = logits(model);
    words.insert(words.end(), {"--top", "0", "--out", out});
    expect_one_line(run(words));
    EXPECT_FALSE(is_file(out));
  }
}

TEST_F(BadInput, AFullDiskLeavesNoHalfFile) {
  const std::string model = gguf({}), out = folder_.file("full/logits.safetensors");
  std::filesystem::create_directories(folder_.file("full"));
  // A limit on the size of files stands for the disk: writes beyond it fail as they do there.
  expect_one_line(shell(fmt::format("trap '' XFSZ; ulimit -f 1; {} logits {} --ids 1,2,3,4,5 --top 0 --out {}",
                                    KINGLET_PROGRAM, model, out)));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.file("full")));
}

TEST_F(BadInput, AFullStandardOutput) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  const std::string model = gguf({});
  expect_one_line(shell(fmt::format("{} inspect {} --tensors --program > /dev/full", KINGLET_PROGRAM, model)));
  expect_one_line(shell(fmt::format("{} tokenize {} ab > /dev/full", KINGLET_PROGRAM, model)));
}
#endif

}  // namespace
}  // namespace kinglet
