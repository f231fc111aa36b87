// Parity with transformers on the tiny random models: the loss and every gradient.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "arch/adapter.h"
#include "arch/model_spec.h"
#include "arch/testing.h"
#include "host/threads.h"
#include "kernels/kernels.h"
#include "kernels/testing.h"
#include "train/graph.h"

namespace kinglet::train {
namespace {

const std::string kFixtures = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/";

std::vector<float> floats(const safetensors::Tensor& t) {
  std::vector<float> out(static_cast<size_t>(*t.shape.count()));
  std::memcpy(out.data(), t.data.data(), out.size() * sizeof(float));
  return out;
}

std::vector<int32_t> row_of(const safetensors::Tensor& t, int64_t row) {
  const int64_t n = t.shape[t.shape.rank - 1];
  std::vector<int32_t> out;
  for (int64_t i = 0; i < n; ++i) {
    int64_t value = 0;
    std::memcpy(&value, t.data.data() + (row * n + i) * 8, 8);
    out.push_back(static_cast<int32_t>(value));
  }
  return out;
}

/// |got - want| / |want|.
double distance(std::span<const float> got, std::span<const float> want) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (double{got[i]} - want[i]) * (double{got[i]} - want[i]);
    size += double{want[i]} * want[i];
  }
  return std::sqrt(difference / size);
}

struct Model {
  Ledger ledger;
  std::optional<Checkpoint> checkpoint;
  ModelSpec spec;
  std::optional<Adapter> adapter;
  std::optional<Parameters> parameters;
  std::optional<Graph> graph;

  void open(const std::string& name, const std::string& adapter_name = "") {
    auto opened = Checkpoint::open(kFixtures + name);
    ASSERT_TRUE(opened.ok()) << opened.status().text();
    checkpoint.emplace(*std::move(opened));
    auto read = read_model_spec(*checkpoint);
    ASSERT_TRUE(read.ok()) << read.status().text();
    spec = *std::move(read);
    if (adapter_name.empty()) return;
    auto adapted = read_adapter(kFixtures + adapter_name, spec, *checkpoint, 1.0f);
    ASSERT_TRUE(adapted.ok()) << adapted.status().text();
    adapter.emplace(*std::move(adapted));
    ASSERT_TRUE(apply_adapter(spec.program, *adapter).ok());
  }
  void make_graph(Trained trained, const GraphOptions& options) {
    auto loaded = Parameters::load(*checkpoint, spec.program, {.trained = trained}, ledger);
    ASSERT_TRUE(loaded.ok()) << loaded.status().text();
    parameters.emplace(*std::move(loaded));
    auto made = Graph::create(spec.program, *parameters, options, ledger);
    ASSERT_TRUE(made.ok()) << made.status().text();
    graph.emplace(*std::move(made));
  }
  /// Worst relative error of all gradients; `name_of` gives the golden file's name of each.
  double worst_gradient(const safetensors::File& golden,
                        const std::function<std::string(const Parameter&)>& name_of) const {
    double worst = 0;
    for (const Parameter& p : parameters->all()) {
      if (!p.trained()) continue;
      const auto* want = golden.find(name_of(p));
      EXPECT_NE(want, nullptr) << name_of(p);
      if (want == nullptr) continue;
      EXPECT_EQ(want->shape, p.shape) << p.name;
      const double error = distance(p.gradient, floats(*want));
      EXPECT_LE(error, 1e-4) << p.name;
      worst = std::max(worst, error);
    }
    return worst;
  }
};

Batch batch_of(const safetensors::File& golden) {
  std::vector<Sample> samples;
  for (int64_t row : {0, 1}) {
    const auto ids = row_of(*golden.find("input_ids"), row);
    samples.push_back({ids, golden.find("labels") != nullptr ? row_of(*golden.find("labels"), row) : ids});
  }
  return make_batch(samples);
}

// The names of PEFT: "model.layers.0.mlp.down_proj.weight.lora_a".
std::string peft_name(const Parameter& p) {
  const size_t end = p.name.find(".weight.lora_");
  const char which = p.name.back() == 'a' ? 'A' : 'B';
  return "grad.base_model.model." + p.name.substr(0, end) + ".lora_" + which + ".default.weight";
}
std::string plain_name(const Parameter& p) { return "grad." + p.name; }

class DecoderGradients : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const auto& [name, kernels] = GetParam();
    if (!std::filesystem::exists(kFixtures)) GTEST_SKIP() << "shared fixtures are absent: " << kFixtures;
    if (find_kernels(kernels.c_str()) == nullptr) GTEST_SKIP() << "this processor has no " << kernels;
    auto opened = safetensors::File::open(kFixtures + name + "/golden.safetensors");
    ASSERT_TRUE(opened.ok()) << opened.status().text();
    golden_.emplace(*std::move(opened));
    model_.open(name);
  }
  std::vector<float> all_gradients() const {
    std::vector<float> out;
    for (const Parameter& p : model_.parameters->all()) out.insert(out.end(), p.gradient.begin(), p.gradient.end());
    return out;
  }

  std::optional<safetensors::File> golden_;
  Model model_;
};

TEST_P(DecoderGradients, AreTransformers) {
  ThreadPool pool(2);
  const Batch batch = batch_of(*golden_);
  for (const Checkpointing checkpointing : {Checkpointing::none, Checkpointing::activations, Checkpointing::layers}) {
    model_.make_graph(
        Trained::all,
        {.parallel = pool.parallel(), .checkpointing = checkpointing, .kernels = std::get<1>(GetParam())});
    const auto loss = model_.graph->backward(batch, 1.0 / static_cast<double>(unmasked(batch)));
    ASSERT_TRUE(loss.ok()) << loss.status().text();
    EXPECT_NEAR(loss->sum / static_cast<double>(loss->count), floats(*golden_->find("loss"))[0], 1e-5);
    const auto evaluated = model_.graph->evaluate(batch);
    ASSERT_TRUE(evaluated.ok());
    EXPECT_EQ(evaluated->sum, loss->sum);
    const double worst = model_.worst_gradient(*golden_, plain_name);
    RecordProperty("worst", std::to_string(worst));
    if (std::getenv("KINGLET_SHOW_ERRORS") != nullptr)
      printf("worst gradient of %s: %.2e\n", std::get<0>(GetParam()).c_str(), worst);
  }
}

TEST_P(DecoderGradients, ThreadsAndCheckpointingDoNotChangeABit) {
  const Batch batch = batch_of(*golden_);
  std::vector<float> first;
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const Checkpointing checkpointing : {Checkpointing::none, Checkpointing::activations, Checkpointing::layers}) {
      model_.make_graph(
          Trained::all,
          {.parallel = pool.parallel(), .checkpointing = checkpointing, .kernels = std::get<1>(GetParam())});
      for (int repeat = 0; repeat < 2; ++repeat) {
        model_.parameters->zero_gradients(pool.parallel());
        ASSERT_TRUE(model_.graph->backward(batch, 0.01).ok());
        if (first.empty()) first = all_gradients();
        else ASSERT_EQ(all_gradients(), first) << threads;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DecoderGradients, decoders_and_kernels(), decoder_and_kernel_name);

TEST(AdapterGradients, ArePefts) {
  if (!std::filesystem::exists(kFixtures)) GTEST_SKIP() << "shared fixtures are absent: " << kFixtures;
  auto golden = safetensors::File::open(kFixtures + "lora-llama-3.2/golden.safetensors");
  ASSERT_TRUE(golden.ok());
  Model model;
  model.open("llama-3.2", "lora-llama-3.2");
  model.make_graph(Trained::adapters, {});
  const Batch batch = batch_of(*golden);
  const auto logits = model.graph->logits(batch);
  ASSERT_TRUE(logits.ok()) << logits.status().text();
  EXPECT_LE(distance(*logits, floats(*golden->find("logits"))), 1e-5);
  const auto loss = model.graph->backward(batch, 1.0 / static_cast<double>(unmasked(batch)));
  ASSERT_TRUE(loss.ok()) << loss.status().text();
  EXPECT_NEAR(loss->sum / static_cast<double>(loss->count), floats(*golden->find("loss"))[0], 1e-5);
  EXPECT_LE(model.worst_gradient(*golden, peft_name), 1e-4);
}

// Direct preference optimization (Rafailov et al. 2023): the adapter is the policy, the bare model the reference.
TEST(PreferenceGradients, ArePefts) {
  if (!std::filesystem::exists(kFixtures)) GTEST_SKIP() << "shared fixtures are absent: " << kFixtures;
  auto golden = safetensors::File::open(kFixtures + "dpo-llama-3.2/golden.safetensors");
  ASSERT_TRUE(golden.ok());
  const auto prompt = static_cast<size_t>(row_of(*golden->find("prompt_len"), 0)[0]);
  std::vector<Sample> samples;
  for (const char* which : {"chosen", "rejected"}) {
    Sample sample{row_of(*golden->find(which), 0), row_of(*golden->find(which), 0)};
    std::fill_n(sample.labels.begin(), prompt, kIgnore);
    samples.push_back(sample);
  }
  const Batch batch = make_batch(samples);
  const auto want = [&](const char* name) { return floats(*golden->find(name))[0]; };

  Model bare;
  bare.open("llama-3.2");
  bare.make_graph(Trained::none, {});
  const auto reference = bare.graph->sequence_log_probs(batch);
  ASSERT_TRUE(reference.ok()) << reference.status().text();
  EXPECT_NEAR((*reference)[0], want("ref_chosen_logp"), 1e-4);
  EXPECT_NEAR((*reference)[1], want("ref_rejected_logp"), 1e-4);

  Model policy;
  policy.open("llama-3.2", "lora-llama-3.2");
  policy.make_graph(Trained::adapters, {});
  constexpr double kBeta = 0.1;
  std::vector<double> log_probs;
  const auto loss = policy.graph->backward_sequences(
      batch,
      [&](std::span<const double> logp, std::span<double> weights) {
        const double margin = kBeta * (logp[0] - (*reference)[0] - logp[1] + (*reference)[1]);
        weights[0] = -kBeta / (1.0 + std::exp(margin));
        weights[1] = -weights[0];
        return std::log1p(std::exp(-margin));
      },
      &log_probs);
  ASSERT_TRUE(loss.ok()) << loss.status().text();
  EXPECT_NEAR(log_probs[0], want("policy_chosen_logp"), 1e-4);
  EXPECT_NEAR(log_probs[1], want("policy_rejected_logp"), 1e-4);
  EXPECT_NEAR(*loss, want("loss"), 1e-5);
  EXPECT_LE(policy.worst_gradient(*golden, peft_name), 1e-4);
}

// Distillation: the qwen2.5 fixture teaches the llama-3.2 fixture.
TEST(DistillationGradients, AreTorchs) {
  if (!std::filesystem::exists(kFixtures)) GTEST_SKIP() << "shared fixtures are absent: " << kFixtures;
  auto golden = safetensors::File::open(kFixtures + "distil-qwen2.5-to-llama-3.2/golden.safetensors");
  ASSERT_TRUE(golden.ok());
  Batch batch = batch_of(*golden);
  std::fill(batch.targets.begin(), batch.targets.end(), 0);  // every position counts, whatever comes next
  ThreadPool pool(2);
  for (const std::string& kernels : kernel_names()) {
    if (find_kernels(kernels.c_str()) == nullptr) continue;
    Model teacher, student;
    teacher.open("qwen2.5");
    teacher.make_graph(Trained::none, {.parallel = pool.parallel(), .kernels = kernels});
    student.open("llama-3.2");
    student.make_graph(Trained::all, {.parallel = pool.parallel(), .kernels = kernels});
    const auto lesson = teacher.graph->teach(batch);
    ASSERT_TRUE(lesson.ok()) << lesson.status().text();
    const auto positions = static_cast<double>(batch.size());
    const auto loss = student.graph->backward_distilled(batch, {.temperature = 2, .weight = 1 / positions}, *lesson);
    ASSERT_TRUE(loss.ok()) << loss.status().text();
    EXPECT_NEAR(4 * loss->divergence / positions, floats(*golden->find("loss"))[0], 1e-5);
    EXPECT_LE(student.worst_gradient(*golden, plain_name), 1e-4) << kernels;
  }
}

}  // namespace
}  // namespace kinglet::train
