// Adapters on a frozen quantized base that is held as stored: int8 products forward, unpacked parts backward.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "arch/adapter.h"
#include "arch/model_spec.h"
#include "host/testing.h"
#include "host/threads.h"
#include "kernels/testing.h"
#include "train/graph.h"
#include "train/product.h"

namespace kinglet::train {
namespace {

/// A llama whose matrices take turns at the quantized types.
struct QuantizedLlama {
  static constexpr int64_t kC = 256, kF = 512, kV = 300, kH = 4, kG = 2, kL = 2;
  TempFolder folder;
  std::vector<std::pair<std::string, Shape>> tensors;

  QuantizedLlama() {
    gguf::Writer file(folder.file("model.gguf"));
    const auto number = [](int64_t n) { return gguf::Value(static_cast<uint32_t>(n)); };
    file.set("general.architecture", gguf::Value(std::string("llama")));
    file.set("llama.context_length", number(512));
    file.set("llama.embedding_length", number(kC));
    file.set("llama.block_count", number(kL));
    file.set("llama.feed_forward_length", number(kF));
    file.set("llama.attention.head_count", number(kH));
    file.set("llama.attention.head_count_kv", number(kG));
    file.set("llama.attention.layer_norm_rms_epsilon", gguf::Value(1e-5f));
    file.set("llama.vocab_size", number(kV));
    tensors = {{"token_embd.weight", {kV, kC}}, {"output_norm.weight", {kC}}};
    for (int64_t l = 0; l < kL; ++l) {
      const std::string blk = "blk." + std::to_string(l) + ".";
      const std::pair<const char*, Shape> layer[] = {
          {"attn_norm", {kC}},      {"attn_q", {kC, kC}},      {"attn_k", {kC / 2, kC}},
          {"attn_v", {kC / 2, kC}}, {"attn_output", {kC, kC}}, {"ffn_norm", {kC}},
          {"ffn_gate", {kF, kC}},   {"ffn_up", {kF, kC}},      {"ffn_down", {kC, kF}}};
      for (const auto& [name, shape] : layer) tensors.emplace_back(blk + name + ".weight", shape);
    }
    const DType types[] = {DType::q4_k, DType::q8_0, DType::q6_k, DType::q4_0, DType::q5_0, DType::q5_k, DType::f16};
    std::vector<DType> chosen;
    for (size_t i = 0; i < tensors.size(); ++i)
      chosen.push_back(tensors[i].second.rank == 1 ? DType::f32 : types[i % std::size(types)]);
    for (size_t i = 0; i < tensors.size(); ++i)
      EXPECT_TRUE(file.declare(tensors[i].first, chosen[i], tensors[i].second).ok());
    EXPECT_TRUE(file.begin().ok());
    for (size_t i = 0; i < tensors.size(); ++i) {
      const int64_t n = *tensors[i].second.count();
      auto values = tensors[i].second.rank == 1 ? std::vector<float>(static_cast<size_t>(n), 1.0f)
                                                : normal_values(n, static_cast<uint32_t>(i), i == 0 ? 1.0f : 0.06f);
      std::vector<std::byte> bytes(*tensor_bytes(chosen[i], tensors[i].second));
      quantize_row(chosen[i])(values.data(), n, bytes.data());
      EXPECT_TRUE(file.write_tensor(bytes).ok());
    }
    EXPECT_TRUE(file.finish().ok());
  }
};

struct Adapted {
  Ledger ledger;
  std::optional<Checkpoint> checkpoint;
  ModelSpec spec;
  Adapter adapter;
  std::optional<Parameters> parameters;
  std::optional<Graph> graph;

  void make(const std::string& path, FrozenForm frozen, const std::string& kernels, const Parallel& parallel,
            Checkpointing checkpointing) {
    auto opened = Checkpoint::open(path);
    ASSERT_TRUE(opened.ok()) << opened.status().text();
    checkpoint.emplace(*std::move(opened));
    auto read = read_model_spec(*checkpoint);
    ASSERT_TRUE(read.ok()) << read.status().text();
    spec = *std::move(read);
    for (size_t i = 0; i < spec.program.params.size(); ++i) {
      const ParamInfo& p = spec.program.params[i];
      if (p.kind != ParamKind::linear) continue;
      const auto seed = static_cast<uint32_t>(i);
      adapter.pairs.push_back({.base = static_cast<ParamId>(i),
                               .R = 8,
                               .scale = 2,
                               .a = normal_values(8 * p.shape[1], seed, 0.06f),
                               .b = normal_values(8 * p.shape[0], seed + 1000, 0.02f)});
    }
    ASSERT_TRUE(apply_adapter(spec.program, adapter).ok());
    auto loaded = Parameters::load(*checkpoint, spec.program,
                                   {.trained = Trained::adapters,
                                    .frozen = frozen,
                                    .kernels = find_kernels(kernels.c_str()),
                                    .parallel = parallel},
                                   ledger);
    ASSERT_TRUE(loaded.ok()) << loaded.status().text();
    parameters.emplace(*std::move(loaded));
    auto made = Graph::create(spec.program, *parameters,
                              {.parallel = parallel, .checkpointing = checkpointing, .kernels = kernels}, ledger);
    ASSERT_TRUE(made.ok()) << made.status().text();
    graph.emplace(*std::move(made));
  }
  std::vector<float> gradients() const {
    std::vector<float> out;
    for (const Parameter& p : parameters->all()) out.insert(out.end(), p.gradient.begin(), p.gradient.end());
    return out;
  }
};

Batch batch_of_two() {
  std::mt19937 random(1);
  std::vector<Sample> samples(2);
  for (size_t b = 0; b < 2; ++b) {
    for (size_t i = 0; i < 30 + 11 * b; ++i)
      samples[b].ids.push_back(static_cast<int32_t>(random() % QuantizedLlama::kV));
    samples[b].labels = samples[b].ids;
  }
  return make_batch(samples);
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    size += double{b[i]} * b[i];
  }
  return std::sqrt(difference / size);
}

class FrozenBase : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (find_kernels(GetParam().c_str()) == nullptr) GTEST_SKIP() << "this processor has no " << GetParam();
  }
};

TEST_P(FrozenBase, AsStoredIsTheExpandedOneUpToInt8Activations) {
  const QuantizedLlama model;
  const Batch batch = batch_of_two();
  const auto serial = Parallel::serial();
  Adapted expanded, stored;
  expanded.make(model.folder.file("model.gguf"), FrozenForm::f32, GetParam(), serial, Checkpointing::none);
  stored.make(model.folder.file("model.gguf"), FrozenForm::as_stored, GetParam(), serial, Checkpointing::none);
  const auto want = expanded.graph->backward(batch, 0.01), got = stored.graph->backward(batch, 0.01);
  ASSERT_TRUE(want.ok() && got.ok());
  // Rounding a block of 32 activations to int8 is a relative error of about 1/400 in each product, 15 of them in a row.
  const bool exact = GetParam() == "ref";
  EXPECT_NEAR(got->sum, want->sum, (exact ? 1e-5 : 3e-3) * want->sum);
  EXPECT_LE(relative_distance(stored.gradients(), expanded.gradients()), exact ? 1e-4 : 5e-2);
  for (const Parameter& p : stored.parameters->all())
    EXPECT_TRUE(p.trained() || p.values.empty() || p.shape.rank == 1) << p.name;
}

TEST_P(FrozenBase, ThreadsAndCheckpointingDoNotChangeABit) {
  const QuantizedLlama model;
  const Batch batch = batch_of_two();
  std::vector<float> first;
  for (const int threads : {1, 3})
    for (const Checkpointing checkpointing : {Checkpointing::none, Checkpointing::activations, Checkpointing::layers}) {
      ThreadPool pool(threads);
      Adapted adapted;
      adapted.make(model.folder.file("model.gguf"), FrozenForm::as_stored, GetParam(), pool.parallel(), checkpointing);
      ASSERT_TRUE(adapted.graph->backward(batch, 0.01).ok());
      if (first.empty()) first = adapted.gradients();
      EXPECT_EQ(adapted.gradients(), first) << threads;
    }
}

// The products that carry gradients back read the very values that the file's blocks stand for.
TEST_P(FrozenBase, BackwardUnpacksTheFilesValues) {
  const QuantizedLlama model;
  const auto serial = Parallel::serial();
  Adapted expanded, stored;
  expanded.make(model.folder.file("model.gguf"), FrozenForm::f32, GetParam(), serial, Checkpointing::none);
  stored.make(model.folder.file("model.gguf"), FrozenForm::as_stored, GetParam(), serial, Checkpointing::none);
  const KernelTable& kernels = *find_kernels(GetParam().c_str());
  Ledger ledger;
  auto products = Products::create(kernels, gradient_kernels(kernels), serial, ledger);
  ASSERT_TRUE(products.ok());
  for (size_t i = 0; i < stored.parameters->all().size(); ++i) {
    const Parameter &packed = stored.parameters->all()[i], &plain = expanded.parameters->all()[i];
    if (packed.shape.rank != 2 || packed.trained()) continue;
    const int64_t T = 7, N = packed.shape[0], K = packed.shape[1];
    auto dy = normal_values(T * N, 3);
    std::vector<float> got(static_cast<size_t>(T * K)), want(got);
    products->input_gradient({dy.data(), N, T, N}, packed, {got.data(), K, T, K}, Write::store);
    products->input_gradient({dy.data(), N, T, N}, plain, {want.data(), K, T, K}, Write::store);
    EXPECT_EQ(got, want) << packed.name << " " << name(packed.dtype);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, FrozenBase, testing::ValuesIn(kernel_names()),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace kinglet::train
