// Two processes, here as two threads, train what one does.
#include "train/gradient_exchange.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <thread>

#include "arch/model_spec.h"
#include "train/language_modeling.h"
#include "train/testing_models.h"
#include "train/trainer.h"

namespace kinglet::train {
namespace {

constexpr int kSize = 2;

/// What the threads share: whose values are summed now.
struct Meeting {
  std::barrier<> barrier{kSize};
  std::span<float> floats[kSize];
  std::span<double> doubles[kSize];
};

class Thread final : public Collective {
 public:
  Thread(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return kSize; }
  Status begin_sum(std::span<float> values) override { return begun_.push_back(values), ok_status(); }
  Status advance() override { return ok_status(); }
  Status finish_sums() override {
    for (const std::span<float> values : begun_) add(meeting_.floats, values);
    begun_.clear();
    return ok_status();
  }
  Status sum(std::span<double> values) override { return add(meeting_.doubles, values), ok_status(); }

 private:
  template <typename T>
  void add(std::span<T> (&all)[kSize], std::span<T> mine) {
    all[rank_] = mine;
    meeting_.barrier.arrive_and_wait();
    std::vector<T> sums(mine.size());
    for (const std::span<T>& part : all) {
      EXPECT_EQ(part.size(), mine.size());
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += part[i];
    }
    meeting_.barrier.arrive_and_wait();
    std::copy(sums.begin(), sums.end(), mine.begin());
    meeting_.barrier.arrive_and_wait();
  }
  Meeting& meeting_;
  int rank_;
  std::vector<std::span<float>> begun_;
};

Dataset sequences() {
  Dataset data;
  for (int32_t i = 0; i < 13; ++i) {
    Sample sample;
    for (int32_t t = 0; t < 4 + i * 5 % 9; ++t) sample.ids.push_back((i * i * 7 + 3 * t) % 500);
    sample.labels = sample.ids;
    if (i % 3 == 0) sample.labels[1] = kIgnore;
    data.add(sample, {});
  }
  return data;
}

struct Course {
  std::vector<double> losses;
  std::vector<float> weights;
  size_t early = 0, buckets = 0;
};

/// Six steps of three sequences in two batches; the epoch's last step has one sequence.
Course train(Collective* collective) {
  const Dataset data = sequences();
  const auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  Ledger ledger;
  Parameters parameters = *Parameters::random(spec->program, 3, ledger);
  Graph graph = *Graph::create(spec->program, parameters, {}, ledger);
  LanguageModeling objective(passes_of(graph), {data, {.seed = 1}}, {.batch = {.sequences = 2}, .batches = 2});
  objective.hold_out({data, {.shuffle = false}});
  std::optional<GradientExchange> exchange;
  if (collective != nullptr) {
    exchange.emplace(parameters, *collective, size_t{64} << 10);
    graph.on_gradient([&](ParamId p) { exchange->ready(p); });
    objective.share(*exchange);
  }
  Course course;
  auto trainer = Trainer::create({.schedule = {.peak = 1e-2, .total = 6}, .evaluate_every = 3}, {},
                                 trained_tensors(parameters, {}), objective);
  EXPECT_TRUE(trainer.ok());
  const Status status = trainer->run({.step = [&](const StepRecord& r) {
    course.losses.push_back(r.loss.loss);
    course.losses.push_back(static_cast<double>(r.loss.targets));
    if (r.held_out) course.losses.push_back(*r.held_out);
    if (exchange) course.early = std::max(course.early, exchange->begun_early());
    return ok_status();
  }});
  EXPECT_TRUE(status.ok()) << status.text();
  for (const Parameter& p : parameters.all())
    course.weights.insert(course.weights.end(), p.values.begin(), p.values.end());
  if (exchange) course.buckets = exchange->buckets();
  return course;
}

TEST(GradientExchange, TwoProcessesHaveTheLossesOfOne) {
  const Course one = train(nullptr);
  Alone alone;
  EXPECT_EQ(train(&alone).losses, one.losses);
  Meeting meeting;
  Course courses[kSize];
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kSize; ++rank)
    threads.emplace_back([&, rank] {
      Thread collective(meeting, rank);
      courses[rank] = train(&collective);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(courses[0].losses, courses[1].losses);
  EXPECT_EQ(courses[0].weights, courses[1].weights);
  ASSERT_EQ(courses[0].losses.size(), one.losses.size());
  for (size_t i = 0; i < one.losses.size(); ++i) EXPECT_NEAR(courses[0].losses[i], one.losses[i], 1e-5) << i;
  // The embedding is the head's weight too, and is finished last; the buckets of the layers need not wait for it.
  EXPECT_GT(courses[0].buckets, 3u);
  EXPECT_GE(courses[0].early, courses[0].buckets - 1);
}

}  // namespace
}  // namespace kinglet::train
