// f16 weights where the processor multiplies bf16: as bf16 if it holds all of their values, and not otherwise.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "convert/convert.h"
#include "convert/synth.h"
#include "engine/testing.h"
#include "host/testing.h"

namespace kinglet {
namespace {

convert::Preset tiny() {
  convert::Preset preset{.name = "halves", .source = "nowhere", .config = {}, .tokenizer = {}};
  preset.config =
      parse_json(R"({"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "hidden_size": 128,
    "intermediate_size": 200, "tie_word_embeddings": true, "vocab_size": 301})")
          .value();
  preset.tokenizer = {
      {"model", "llama"}, {"pre", "default"}, {"add_bos", true}, {"special", {{"bos", 1}, {"eos", 300}}}};
  return preset;
}

struct Answer {
  bool as_bf16, from_cache;
  std::vector<float> logits;
};

void answer(const std::string& file, const std::string& cache, Answer& out) {
  Ledger ledger;
  const auto model = Model::load(file, {.packing_folder = cache, .packing_smallest_bytes = 0}, ledger);
  ASSERT_TRUE(model.ok()) << model.status().text();
  const auto runner = Runner::create(**model, {.threads = 1, .batch_tokens = 8, .outputs = 8});
  ASSERT_TRUE(runner.ok()) << runner.status().text();
  const std::vector<TokenId> tokens = {1, 7, 19, 300, 2};
  for (int batch = 0; batch < 2; ++batch) {  // the second one packs to stay
    const std::vector<float> logits = logits_after(**runner, tokens);
    if (batch == 0) out.logits = logits;
    else EXPECT_EQ(logits, out.logits);
  }
  (*model)->packed().wait();
  out.from_cache = (*model)->packed().from_cache();
  out.as_bf16 = (*model)->packed().description().find("f16 as bf16") != std::string::npos;
}

class F16Weights : public testing::Test {
 protected:
  std::string file(const std::string& name) const { return folder_.file(name); }
  void synthesize(const std::string& name, DType type) const {
    const Status made = convert::synthesize(tiny(), file(name), {.type = type});
    ASSERT_TRUE(made.ok()) << made.text();
  }
  void convert(const std::string& from, const std::string& to, DType type) const {
    const auto source = Checkpoint::open(file(from));
    ASSERT_TRUE(source.ok()) << source.status().text();
    const auto done = convert::to_gguf(*source, file(to), {.type = type});
    ASSERT_TRUE(done.ok()) << done.status().text();
  }
  static bool multiplies_bf16() {
    const KernelTable& best = *available_kernels().rows[0];
    return best.weights[static_cast<size_t>(DType::bf16)].act == ActKind::bf16;
  }
  /// Two starts without a cache file, and one from it: the same answer, and what it was computed with.
  void check(const std::string& name, bool as_bf16, Answer& first) const {
    answer(file(name), "", first);
    EXPECT_EQ(first.as_bf16, as_bf16);
    for (bool cached : {false, true}) {
      Answer again{};
      answer(file(name), file("cache"), again);
      EXPECT_EQ(again.from_cache, cached);
      EXPECT_EQ(again.as_bf16, as_bf16);
      EXPECT_EQ(again.logits, first.logits);
    }
  }

 private:
  TempFolder folder_;
};

TEST_F(F16Weights, ThatCameFromBf16AreMultipliedAsThat) {
  if (!multiplies_bf16()) GTEST_SKIP() << "this processor has no products of bf16";
  synthesize("halves.gguf", DType::f16);
  convert("halves.gguf", "bf16.gguf", DType::bf16);
  Answer halves{}, bf16{};
  check("halves.gguf", true, halves);
  answer(file("bf16.gguf"), "", bf16);
  EXPECT_EQ(halves.logits, bf16.logits);
}

TEST_F(F16Weights, ThatBf16WouldRoundStayAsTheyAre) {
  synthesize("floats.gguf", DType::f32);
  convert("floats.gguf", "halves.gguf", DType::f16);
  Answer first{};
  check("halves.gguf", false, first);
}

}  // namespace
}  // namespace kinglet
