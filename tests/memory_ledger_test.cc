// What the ledger counts against what the system says this process holds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <malloc.h>

#include <fstream>
#include <string>

#include "convert/synth.h"
#include "engine/runner.h"
#include "host/testing.h"

namespace kinglet {
namespace {

/// Resident bytes of this process: its own pages and those of files that it maps.
uint64_t resident_bytes() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  std::string word;
  uint64_t kilobytes = 0;
  while (rollup >> word)
    if (word == "Rss:") rollup >> kilobytes;
  return kilobytes * 1024;
}

/// A llama of 71 million parameters beside its embeddings and its output head.
convert::Preset shape(int64_t vocabulary) {
  convert::Preset preset{.name = "ledger", .source = "nowhere", .config = {}, .tokenizer = {}};
  preset.config =
      parse_json(R"({"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 6, "num_attention_heads": 8,
    "num_key_value_heads": 8, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "hidden_size": 1024,
    "intermediate_size": 2560, "tie_word_embeddings": false})")
          .value();
  preset.config["vocab_size"] = vocabulary;
  preset.tokenizer = {
      {"model", "llama"}, {"pre", "default"}, {"add_bos", true}, {"special", {{"bos", 1}, {"eos", vocabulary - 1}}}};
  return preset;
}

/// Fills the context, so that whatever is counted is also touched.
void fill_context(const Model& model, KvSequence& kv, Runner& runner) {
  std::vector<TokenId> ids(static_cast<size_t>(runner.batch_tokens()));
  while (kv.length() < runner.context()) {
    for (size_t i = 0; i < ids.size(); ++i)
      ids[i] = static_cast<TokenId>((i * 7919 + 13) % static_cast<size_t>(model.hyper().V));
    const BatchPart part{&kv, ids, Outputs::all};
    const Status status = runner.run({&part, 1});
    ASSERT_TRUE(status.ok()) << status.text();
  }
}

bool sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

struct Memory {
  double resident = 0, counted = 0;
  std::string breakdown;
};

struct Shape {
  DType type;
  int64_t vocabulary;
};

/// How much more is resident with a model whose weights are of that type, its context full, and what the ledger says of it. The
/// context nearly fills the slabs that its pages come from.
void measure(const Shape& of, Memory& out) {
  const TempFolder folder;
  const std::string path = folder.file("model.gguf");
  const Status made = convert::synthesize(shape(of.vocabulary), path, {.type = of.type});
  ASSERT_TRUE(made.ok()) << made.text();
  malloc_trim(0);
  const uint64_t before = resident_bytes();
  Ledger ledger;
  const auto model = Model::load(path, {}, ledger);
  ASSERT_TRUE(model.ok()) << model.status().text();
  const auto runner = Runner::create(**model, {.threads = 2, .context = 1280, .batch_tokens = 256, .outputs = 256});
  ASSERT_TRUE(runner.ok()) << runner.status().text();
  KvSequence kv = (*runner)->new_sequence();
  fill_context(**model, kv, **runner);
  out = {static_cast<double>(resident_bytes()) - static_cast<double>(before), static_cast<double>(ledger.total()),
         ledger.breakdown()};
}

class MemoryLedger : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (sanitized()) GTEST_SKIP() << "a sanitizer's own memory is resident too";
    if (resident_bytes() == 0) GTEST_SKIP() << "no /proc/self/smaps_rollup";
    static const bool ready = [] {
      Memory ignored;
      measure({DType::q4_0, 2000}, ignored);
      return true;
    }();
    ASSERT_TRUE(ready);
  }
};

// Left out are the program's own pages (a first measurement has brought them in), the vocabulary, the plan's tables and page tables.
TEST_P(MemoryLedger, IsWhatIsResident) {
  Memory memory;
  measure(GetParam(), memory);
  EXPECT_NEAR(memory.resident, memory.counted, 0.03 * memory.counted) << "counted: " << memory.breakdown;
}

// The last has a table of embeddings that only its tokens' rows are read of, of 41 MB.
INSTANTIATE_TEST_SUITE_P(Shapes, MemoryLedger,
                         testing::Values(Shape{DType::q8_0, 2000}, Shape{DType::f16, 2000}, Shape{DType::f16, 20000}),
                         [](const auto& shape) {
                           return fmt::format("{}_{}", name(shape.param.type), shape.param.vocabulary);
                         });

}  // namespace
}  // namespace kinglet
