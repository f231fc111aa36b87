// The sampler against a slow one that sorts everything, and its draws against their probabilities.
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

namespace kinglet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Nothing but the draw.
SamplingOptions plain(float temperature = 1) {
  return {.temperature = temperature, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 1};
}

Sampler make(const SamplingOptions& options, size_t vocab_size) {
  auto sampler = Sampler::create(options, static_cast<int32_t>(vocab_size));
  EXPECT_TRUE(sampler.ok()) << sampler.status().text();
  return *std::move(sampler);
}

TokenId sample(Sampler& sampler, const std::vector<float>& logits, const std::vector<TokenId>& tokens = {}) {
  const auto id = sampler.sample(logits, tokens);
  EXPECT_TRUE(id.ok()) << id.status().text();
  return id.ok() ? *id : -1;
}

std::vector<float> random_logits(size_t count, float spread, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> logits(count);
  for (float& x : logits) {  // roughly normal, without a library's distribution, and rounded once
    uint64_t sum = 0;
    for (int i = 0; i < 4; ++i) sum += random() >> 8;
    x = spread * static_cast<float>(static_cast<double>(sum) * 0x1p-24 - 2.0);
  }
  return logits;
}

/// How often each token comes in `draws` draws at successive positions.
std::vector<double> frequencies(const SamplingOptions& options, const std::vector<float>& logits, int draws) {
  Sampler sampler = make(options, logits.size());
  std::vector<double> counts(logits.size());
  std::vector<TokenId> tokens;
  for (int i = 0; i < draws; ++i) {
    counts[static_cast<size_t>(sample(sampler, logits, tokens))] += 1.0 / draws;
    tokens.push_back(0);
  }
  return counts;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  const double max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (const float x : logits) p.push_back(std::exp((double{x} - max) / temperature));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

/// The filters, written down plainly: ids that are left, likeliest first.
std::vector<TokenId> slow_filter(const SamplingOptions& o, const std::vector<float>& logits) {
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto at = [](const auto& v, TokenId id) { return v[static_cast<size_t>(id)]; };
  std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) { return at(logits, a) > at(logits, b); });
  if (o.top_k > 0) ids.resize(std::min(ids.size(), static_cast<size_t>(o.top_k)));
  const std::vector<double> p = softmax(logits, 1);
  const auto mass = [&] {
    double sum = 0;
    for (const TokenId id : ids) sum += at(p, id);
    return sum;
  };
  const auto keep = [&](double share) {  // the first that hold `share` of the mass
    const double need = share * mass();
    double sum = 0;
    size_t n = 0;
    while (n < ids.size() && sum < need) sum += at(p, ids[n++]);
    ids.resize(std::max<size_t>(n, 1));
  };
  if (o.typical_p < 1) {
    const double total = mass();
    double entropy = 0;
    for (const TokenId id : ids) entropy -= at(p, id) / total * std::log(at(p, id) / total);
    const auto distance = [&](TokenId id) { return std::abs(-std::log(at(p, id) / total) - entropy); };
    std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) { return distance(a) < distance(b); });
    keep(o.typical_p);
    std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) { return at(logits, a) > at(logits, b); });
  }
  if (o.top_p < 1) keep(o.top_p);
  std::erase_if(ids, [&, most = at(p, ids[0])](TokenId id) { return at(p, id) < o.min_p * most; });
  return ids;
}

TEST(Sampler, FiltersLeaveWhatTheSlowOnesDo) {
  std::mt19937 random(7);
  const auto unit = [&] { return static_cast<float>(random() >> 8) * 0x1p-24f; };
  for (int round = 0; round < 300; ++round) {
    SamplingOptions options = plain();
    const size_t count = 1 + random() % 2000;
    if (random() % 2 == 0) options.top_k = static_cast<int32_t>(random() % (count + 3));
    if (random() % 2 == 0) options.top_p = 0.01f + 0.98f * unit();
    if (random() % 2 == 0) options.min_p = 0.3f * unit();
    if (random() % 3 == 0) options.typical_p = 0.01f + 0.98f * unit();
    options.seed = random();
    const auto logits = random_logits(count, 1.0f + 20.0f * unit(), random());
    const auto left = slow_filter(options, logits);
    Sampler sampler = make(options, count);
    const std::set<TokenId> allowed(left.begin(), left.end());
    for (int draw = 0; draw < 3; ++draw) {
      const TokenId id = sample(sampler, logits, std::vector<TokenId>(static_cast<size_t>(draw), 0));
      // Single precision may see a border one token away.
      ASSERT_NEAR(static_cast<double>(sampler.candidates()), static_cast<double>(left.size()), 1) << "round " << round;
      if (sampler.candidates() == left.size()) {
        ASSERT_TRUE(allowed.contains(id)) << "round " << round;
      }
    }
  }
}

TEST(Sampler, DrawsByProbability) {
  const std::vector<float> logits = {1.0f, 0.0f, 2.0f, -1.0f, 0.5f, -30.0f};
  constexpr int kDraws = 40000;
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    const auto seen = frequencies(plain(temperature), logits, kDraws);
    const auto expected = softmax(logits, temperature);
    double chi2 = 0;
    for (size_t i = 0; i + 1 < logits.size(); ++i) {
      chi2 += kDraws * (seen[i] - expected[i]) * (seen[i] - expected[i]) / expected[i];
    }
    EXPECT_LT(chi2, 18.5) << temperature;  // 4 degrees of freedom: p = 0.001
  }
}

TEST(Sampler, SeedsAreIndependent) {
  const std::vector<float> logits(10, 0.0f);
  std::vector<int> counts(10), pairs(100);
  int before = 0;
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    SamplingOptions options = plain();
    options.seed = seed;
    Sampler sampler = make(options, logits.size());
    const int id = sample(sampler, logits);
    ++counts[static_cast<size_t>(id)];
    ++pairs[static_cast<size_t>(before * 10 + id)];
    before = id;
  }
  double chi2 = 0, chi2_pairs = 0;
  for (const int n : counts) chi2 += (n - 2000.0) * (n - 2000.0) / 2000;
  for (const int n : pairs) chi2_pairs += (n - 200.0) * (n - 200.0) / 200;
  EXPECT_LT(chi2, 27.9);         // 9 degrees of freedom: p = 0.001
  EXPECT_LT(chi2_pairs, 148.3);  // 99 of them
}

TEST(Sampler, ADrawDependsOnSeedAndPositionOnly) {
  const auto logits = random_logits(1000, 4, 3);
  SamplingOptions options = plain();
  options.seed = 42;
  Sampler one = make(options, logits.size());
  std::vector<TokenId> forward, tokens;
  for (int i = 0; i < 50; ++i) {
    forward.push_back(sample(one, logits, tokens));
    tokens.push_back(forward.back());
  }
  Sampler other = make(options, logits.size());
  for (size_t i = 50; i-- > 0;) {
    EXPECT_EQ(sample(other, logits, std::vector<TokenId>(i, 5)), forward[i]);
  }
  options.seed = 43;
  Sampler another = make(options, logits.size());
  int same = 0;
  for (size_t i = 0; i < 50; ++i) same += sample(another, logits, std::vector<TokenId>(i, 5)) == forward[i];
  EXPECT_LT(same, 10);
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  SamplingOptions options = plain(0);
  Sampler sampler = make(options, 5);
  EXPECT_EQ(sample(sampler, {0, 3, 1, 3, -1}), 1);
  EXPECT_EQ(sample(sampler, {-5, -5, -5, -5, -5}), 0);
}

TEST(Sampler, PenaltiesTouchTheWindowOnly) {
  const std::vector<float> logits = {2.0f, 1.9f, -1.0f, -1.1f};
  SamplingOptions options = plain(0);
  options.penalty_window = 2;
  options.repetition_penalty = 1.2f;
  Sampler repetition = make(options, logits.size());
  EXPECT_EQ(sample(repetition, logits, {0, 3, 3}), 0);  // outside the window
  EXPECT_EQ(sample(repetition, logits, {3, 0}), 1);
  EXPECT_EQ(sample(repetition, {-1.0f, -1.1f}, {0}), 1);  // a negative logit moves down too

  options = plain(0);
  options.presence_penalty = 0.2f;
  Sampler presence = make(options, logits.size());
  EXPECT_EQ(sample(presence, logits, {0}), 1);
  EXPECT_EQ(sample(presence, logits, {0, 1}), 0);

  options = plain(0);
  options.frequency_penalty = 0.06f;
  options.penalty_window = -1;
  Sampler frequency = make(options, logits.size());
  EXPECT_EQ(sample(frequency, logits, {0}), 0);
  EXPECT_EQ(sample(frequency, logits, {0, 3, 0}), 1);
  EXPECT_EQ(sample(frequency, logits, {0, 3, 0, 1}), 0);
  options.penalty_window = 0;
  Sampler none = make(options, logits.size());
  EXPECT_EQ(sample(none, logits, {0, 0, 0, 0, 0}), 0);
}

TEST(Sampler, BiasHoldsAndBans) {
  SamplingOptions options = plain(0);
  options.logit_bias = {{0, -kInfinity}, {3, 5.0f}};
  options.repetition_penalty = 100;
  Sampler sampler = make(options, 4);
  EXPECT_EQ(sample(sampler, {9, 4, 4, 0}, {3, 3}), 3);

  options = plain();
  options.logit_bias = {{0, -kInfinity}, {1, -kInfinity}};
  Sampler two = make(options, 3);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(sample(two, {50, 50, -50}, std::vector<TokenId>(i, 0)), 2);

  options.logit_bias[2] = -kInfinity;
  Sampler none = make(options, 3);
  EXPECT_EQ(none.sample(std::vector<float>{1, 2, 3}, {}).status().code(), Code::invalid_argument);
}

TEST(Sampler, StrangeLogitsGiveAToken) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), most = std::numeric_limits<float>::max();
  const std::vector<std::vector<float>> rows = {{nan, 1, 2},      {kInfinity, nan, 0}, {-kInfinity, -kInfinity, 0},
                                                {most, -most, 0}, {most, most, most},  {0, 0, 0}};
  for (const float temperature : {0.0f, 1e-30f, 1.0f, 100.0f}) {
    for (const int top_k : {0, 1, 2, 3, 50}) {
      for (const float p : {1.0f, 0.5f, 1e-6f}) {
        SamplingOptions options{.temperature = temperature, .top_k = top_k, .top_p = p, .min_p = 1 - p, .typical_p = p};
        options.repetition_penalty = 100;
        options.frequency_penalty = -100;
        Sampler sampler = make(options, 3);
        for (const auto& row : rows) {
          const TokenId id = sample(sampler, row, {0, 1, 2, 2});
          ASSERT_TRUE(id >= 0 && id < 3);
          EXPECT_EQ(row[static_cast<size_t>(id)], row[static_cast<size_t>(id)]) << "NaN was chosen";
        }
      }
    }
  }
}

TEST(Sampler, RefusesWhatMakesNoSense) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto refused = [](auto change, std::string_view name) {
    SamplingOptions options;
    change(options);
    const auto sampler = Sampler::create(options, 100);
    EXPECT_EQ(sampler.status().code(), Code::invalid_argument) << name;
    EXPECT_NE(sampler.status().text().find(name), std::string_view::npos) << sampler.status().text();
  };
  for (const float x : {-0.1f, 101.0f, nan, kInfinity}) refused([x](auto& o) { o.temperature = x; }, "temperature");
  refused([](auto& o) { o.top_k = -1; }, "top_k");
  for (const float x : {0.0f, 1.1f, -1.0f, nan}) {
    refused([x](auto& o) { o.top_p = x; }, "top_p");
    refused([x](auto& o) { o.typical_p = x; }, "typical_p");
  }
  for (const float x : {-0.1f, 1.1f, nan}) refused([x](auto& o) { o.min_p = x; }, "min_p");
  for (const float x : {0.0f, -1.0f, 1000.0f, nan})
    refused([x](auto& o) { o.repetition_penalty = x; }, "repetition_penalty");
  for (const float x : {-101.0f, 101.0f, nan}) {
    refused([x](auto& o) { o.presence_penalty = x; }, "presence_penalty");
    refused([x](auto& o) { o.frequency_penalty = x; }, "frequency_penalty");
  }
  refused([](auto& o) { o.penalty_window = -2; }, "penalty_window");
  refused([](auto& o) { o.logit_bias[100] = 1; }, "logit_bias");
  refused([](auto& o) { o.logit_bias[-1] = 1; }, "logit_bias");
  for (const float x : {nan, kInfinity, 1e9f}) refused([x](auto& o) { o.logit_bias[5] = x; }, "logit_bias");
}

// These ids were written down once: another compiler, processor or library has to give them too.
TEST(Sampler, SeedsGiveTheSameTokensEverywhere) {
  const auto logits = random_logits(5000, 8, 11);
  SamplingOptions options = plain();
  options.seed = 2024;
  options.top_p = 0.9f;
  Sampler sampler = make(options, logits.size());
  std::vector<TokenId> ids;
  for (size_t i = 0; i < 8; ++i) ids.push_back(sample(sampler, logits, std::vector<TokenId>(i, 0)));
  EXPECT_EQ(ids, (std::vector<TokenId>{3061, 2028, 1047, 3664, 852, 4883, 1827, 229}));
}

}  // namespace
}  // namespace kinglet
