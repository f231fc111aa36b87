#include "train/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "arch/model_spec.h"
#include "host/threads.h"
#include "train/testing_models.h"

namespace kinglet::train {
namespace {

std::vector<float> values_of(const Parameters& parameters) {
  std::vector<float> out;
  for (const Parameter& p : parameters.all()) out.insert(out.end(), p.values.begin(), p.values.end());
  return out;
}

TEST(Parameters, RandomOnesBeginAsTransformersBegins) {
  const Checkpoint checkpoint = Checkpoint::of(tiny_qwen());
  const auto spec = read_model_spec(checkpoint);
  ASSERT_TRUE(spec.ok()) << spec.status().text();
  Ledger ledger;
  const auto parameters = Parameters::random(spec->program, 7, ledger);
  ASSERT_TRUE(parameters.ok()) << parameters.status().text();
  EXPECT_GT(ledger.total(), 0u);
  for (const Parameter& p : parameters->all()) {
    EXPECT_TRUE(p.trained()) << p.name;
    EXPECT_EQ(p.decay, p.shape.rank == 2) << p.name;
    if (p.shape.rank == 1) {
      const float want = p.name.ends_with(".bias") ? 0.0f : 1.0f;
      EXPECT_TRUE(std::all_of(p.values.begin(), p.values.end(), [&](float x) { return x == want; })) << p.name;
      continue;
    }
    double sum = 0, squares = 0;
    for (float x : p.values) {
      sum += x;
      squares += double{x} * x;
    }
    // The mean of n values has the deviation 0.02 / sqrt(n), their deviation's own is 0.02 / sqrt(2 n): five times each.
    const auto n = static_cast<double>(p.count());
    EXPECT_NEAR(sum / n, 0, 5 * 0.02 / std::sqrt(n)) << p.name;
    EXPECT_NEAR(std::sqrt(squares / n), 0.02, 5 * 0.02 / std::sqrt(2 * n)) << p.name;
  }
  EXPECT_EQ(values_of(*parameters), values_of(*Parameters::random(spec->program, 7, ledger)));
  EXPECT_NE(values_of(*parameters), values_of(*Parameters::random(spec->program, 8, ledger)));
}

TEST(Parameters, GradientsBeginAtZeroAndGoBackThere) {
  const Checkpoint checkpoint = Checkpoint::of(tiny_qwen());
  const auto spec = read_model_spec(checkpoint);
  ASSERT_TRUE(spec.ok());
  Ledger ledger;
  auto parameters = Parameters::random(spec->program, 7, ledger);
  ASSERT_TRUE(parameters.ok());
  const auto all_zero = [&] {
    return std::all_of(parameters->all().begin(), parameters->all().end(), [](const Parameter& p) {
      return std::all_of(p.gradient.begin(), p.gradient.end(), [](float x) { return x == 0; });
    });
  };
  EXPECT_TRUE(all_zero());
  for (Parameter& p : parameters->all()) std::fill(p.gradient.begin(), p.gradient.end(), 1.0f);
  ThreadPool pool(2);
  parameters->zero_gradients(pool.parallel());
  EXPECT_TRUE(all_zero());
  int64_t values = 0;
  for (const Parameter& p : parameters->all()) values += p.count();
  EXPECT_EQ(parameters->trained_values(), values);
}

TEST(Parameters, AMissingFileIsAnError) {
  const Checkpoint checkpoint = Checkpoint::of(tiny_qwen());  // a configuration without weights
  const auto spec = read_model_spec(checkpoint);
  ASSERT_TRUE(spec.ok());
  Ledger ledger;
  const auto parameters = Parameters::load(checkpoint, spec->program, {}, ledger);
  ASSERT_FALSE(parameters.ok());
  EXPECT_EQ(parameters.status().code(), Code::not_found) << parameters.status().text();
  Ledger small(1000);
  EXPECT_EQ(Parameters::random(spec->program, 1, small).status().code(), Code::resource_exhausted);
}

}  // namespace
}  // namespace kinglet::train
