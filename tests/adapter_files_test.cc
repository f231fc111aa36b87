// LoRA adapters as files: what is written is what was read, in both formats, on both kinds of base, and only on their own.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "arch/fingerprint.h"
#include "convert/convert.h"
#include "engine/runner.h"
#include "formats/json.h"
#include "host/testing.h"

namespace kinglet {
namespace {

const std::string kModels = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/";

class AdapterFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModels)) GTEST_SKIP() << "shared fixtures are absent: " << kModels;
    auto opened = Checkpoint::open(hf_);
    ASSERT_TRUE(opened.ok()) << opened.status().text();
    base_.emplace(*std::move(opened));
    auto spec = read_model_spec(*base_);
    ASSERT_TRUE(spec.ok()) << spec.status().text();
    spec_ = *std::move(spec);
  }

  /// The base as a GGUF, whose q and k rows lie in another order.
  std::string gguf_base() {
    const std::string path = folder_.file("base.gguf");
    const Status made = convert::to_gguf(*base_, path, {}).status();
    EXPECT_TRUE(made.ok()) << made.text();
    return path;
  }

  /// The fixture's adapter as both kinds of files, written for `base`.
  void write_both(const std::string& base_path) {
    const auto base = Checkpoint::open(base_path);
    const auto spec = read_model_spec(*base);
    const auto adapter = read_adapter(peft_, *spec, *base, 1);
    ASSERT_TRUE(adapter.ok()) << adapter.status().text();
    Status written = write_peft_adapter(folder_.file("peft"), *adapter, kSettings, *spec, *base);
    ASSERT_TRUE(written.ok()) << written.text();
    written = write_gguf_adapter(folder_.file("adapter.gguf"), *adapter, kSettings, *spec, *base);
    ASSERT_TRUE(written.ok()) << written.text();
  }

  /// Greatest difference from the fixture's logits of the first sequence.
  double difference(const std::string& base, std::vector<AdapterChoice> adapters) {
    Ledger ledger;
    const auto golden = safetensors::File::open(peft_ + "/golden.safetensors");
    auto model = Model::load(base, {.adapters = std::move(adapters)}, ledger);
    EXPECT_TRUE(golden.ok() && model.ok()) << model.status().text();
    if (!golden.ok() || !model.ok()) return INFINITY;
    auto runner = Runner::create(**model, {.threads = 2, .batch_tokens = 64, .outputs = 64});
    const auto *ids = golden->find("input_ids"), *logits = golden->find("logits");
    std::vector<TokenId> tokens;
    for (int64_t i = 0; i < ids->shape[1]; ++i) {
      int64_t id = 0;
      std::memcpy(&id, ids->data.data() + i * 8, 8);
      tokens.push_back(static_cast<TokenId>(id));
    }
    KvSequence kv = (*runner)->new_sequence();
    const BatchPart part{&kv, tokens, Outputs::all, false};
    EXPECT_TRUE((*runner)->run({&part, 1}).ok());
    const auto* want = reinterpret_cast<const float*>(logits->data.data());
    double worst = 0;
    for (int64_t t = 0; t < logits->shape[1]; ++t)
      for (int64_t v = 0; v < logits->shape[2]; ++v)
        worst = std::max(worst, std::abs(double{(*runner)->logits(t)[static_cast<size_t>(v)]} -
                                         double{want[t * logits->shape[2] + v]}));
    return worst;
  }

  Status load_status(const std::string& base, const std::string& adapter) {
    Ledger ledger;
    return Model::load(base, {.adapters = {{adapter, 1}}}, ledger).status();
  }

  const LoraSettings kSettings{.rank = 8, .alpha = 16, .base_name = "llama-3.2"};
  const std::string hf_ = kModels + "llama-3.2", peft_ = kModels + "lora-llama-3.2";
  TempFolder folder_;
  std::optional<Checkpoint> base_;
  ModelSpec spec_;
};

TEST_F(AdapterFiles, BothFormatsFitBothKindsOfBase) {
  const std::string gguf = gguf_base();
  EXPECT_LE(difference(gguf, {{peft_, 1}}), 2e-4);
  for (const std::string& made_for : {hf_, gguf}) {
    write_both(made_for);
    for (const std::string& base : {hf_, gguf}) {
      EXPECT_LE(difference(base, {{folder_.file("peft"), 1}}), 2e-4) << made_for << " " << base;
      EXPECT_LE(difference(base, {{folder_.file("adapter.gguf"), 1}}), 2e-4) << made_for << " " << base;
    }
  }
}

TEST_F(AdapterFiles, TensorsComeBackBitForBit) {
  write_both(gguf_base());  // through the other order of rows and back
  const auto original = safetensors::File::open(peft_ + "/adapter_model.safetensors");
  const auto written = safetensors::File::open(folder_.file("peft") + "/adapter_model.safetensors");
  ASSERT_TRUE(original.ok() && written.ok());
  ASSERT_EQ(original->tensors().size(), written->tensors().size());
  for (const auto& tensor : original->tensors()) {
    const auto* back = written->find(tensor.name);
    ASSERT_NE(back, nullptr) << tensor.name;
    EXPECT_EQ(back->shape, tensor.shape);
    EXPECT_TRUE(std::equal(tensor.data.begin(), tensor.data.end(), back->data.begin(), back->data.end()))
        << tensor.name;
  }
}

TEST_F(AdapterFiles, TheGgufSaysWhatLlamaCppAsksFor) {
  write_both(hf_);
  const auto file = gguf::File::open(folder_.file("adapter.gguf"));
  ASSERT_TRUE(file.ok()) << file.status().text();
  EXPECT_EQ(file->get_string("general.type"), "adapter");
  EXPECT_EQ(file->get_string("general.architecture"), "llama");
  EXPECT_EQ(file->get_string("adapter.type"), "lora");
  EXPECT_EQ(file->get_float("adapter.lora.alpha"), 16.0);
  const auto *a = file->find_tensor("blk.0.attn_q.weight.lora_a"), *b = file->find_tensor("blk.0.attn_q.weight.lora_b");
  ASSERT_TRUE(a != nullptr && b != nullptr);
  EXPECT_EQ(a->shape[0], 8);  // outermost first: ggml's ne[1]
  EXPECT_EQ(b->shape[1], 8);
}

TEST_F(AdapterFiles, SeveralAddUp) {
  EXPECT_LE(difference(hf_, {{peft_, 0.25f}, {peft_, 0.5f}, {peft_, 0.25f}}), 2e-4);
  EXPECT_GT(difference(hf_, {{peft_, 0.5f}}), 1e-3);
}

TEST_F(AdapterFiles, RankStabilizedScalesByTheRoot) {
  const auto adapter = read_adapter(peft_, spec_, *base_, 1);
  LoraSettings settings = kSettings;
  settings.rank_stabilized = true;
  settings.alpha = 16.0 / std::sqrt(8.0);  // the same scale of 2
  ASSERT_TRUE(write_peft_adapter(folder_.file("rs"), *adapter, settings, spec_, *base_).ok());
  ASSERT_TRUE(write_gguf_adapter(folder_.file("rs.gguf"), *adapter, settings, spec_, *base_).ok());
  EXPECT_LE(difference(hf_, {{folder_.file("rs"), 1}}), 2e-4);
  EXPECT_LE(difference(hf_, {{folder_.file("rs.gguf"), 1}}), 2e-4);
}

TEST_F(AdapterFiles, MergedWeightsDoWhatTheAdapterDoes) {
  for (const std::string& path : {hf_, gguf_base()}) {
    const auto base = Checkpoint::open(path);
    const auto spec = read_model_spec(*base);
    const auto adapter = read_adapter(peft_, *spec, *base, 1);
    ASSERT_TRUE(adapter.ok()) << adapter.status().text();
    const convert::ConvertOptions options{.type = DType::f32, .name = {}, .progress = {}, .adapter = &*adapter};
    const std::string kind = base->gguf() ? "gguf" : "hf";
    const std::string file = folder_.file(kind + "-merged.gguf"), directory = folder_.file(kind + "-merged");
    Status merged = convert::to_gguf(*base, file, options).status();
    ASSERT_TRUE(merged.ok()) << merged.text();
    EXPECT_LE(difference(file, {}), 2e-4) << path;
    merged = convert::to_hugging_face(*base, directory, options);
    ASSERT_TRUE(merged.ok()) << merged.text();
    EXPECT_LE(difference(directory, {}), 2e-4) << path;
  }
}

TEST_F(AdapterFiles, AnotherBaseIsRefused) {
  write_both(hf_);
  for (const std::string& adapter : {folder_.file("peft"), folder_.file("adapter.gguf"), peft_}) {
    const Status other = load_status(kModels + "qwen3", adapter);
    EXPECT_EQ(other.code(), Code::invalid_argument) << other.text();
  }
  EXPECT_EQ(load_status(hf_, gguf_base()).code(), Code::invalid_argument);  // no adapter at all
}

TEST_F(AdapterFiles, AnotherBaseOfTheSameShapeIsRefusedByItsFingerprint) {
  write_both(hf_);
  const std::string other = folder_.file("other");
  std::filesystem::create_directory(other);
  std::filesystem::copy(hf_ + "/config.json", other + "/config.json");
  const auto file = safetensors::File::open(hf_);
  std::vector<std::vector<std::byte>> copies;
  std::vector<safetensors::OutTensor> tensors;
  for (const auto& tensor : file->tensors()) {
    copies.emplace_back(tensor.data.begin(), tensor.data.end());
    if (tensor.name == "model.norm.weight") copies.back()[0] ^= std::byte{1};
    tensors.push_back({tensor.name, tensor.dtype, tensor.shape, copies.back()});
  }
  ASSERT_TRUE(safetensors::write(other + "/model.safetensors", tensors).ok());
  for (const std::string& adapter : {folder_.file("peft"), folder_.file("adapter.gguf")}) {
    const Status refused = load_status(other, adapter);
    EXPECT_EQ(refused.code(), Code::invalid_argument);
    EXPECT_NE(refused.text().find("fingerprint"), std::string_view::npos) << refused.text();
  }
  EXPECT_TRUE(load_status(other, peft_).ok());  // it carries none
  const auto converted = Checkpoint::open(gguf_base());
  EXPECT_EQ(*model_fingerprint(*converted, read_model_spec(*converted)->program),
            *model_fingerprint(*base_, spec_.program));
}

}  // namespace
}  // namespace kinglet
