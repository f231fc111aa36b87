#include "train/ensemble.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "host/error.h"
#include "host/threads.h"
#include "kernels/testing.h"

namespace kinglet::train {
namespace {

constexpr int64_t kTokens = 37;

/// Logits of a teacher that has `rows` rows.
std::vector<float> logits_of(uint32_t seed, int64_t rows) { return normal_values(rows * kTokens, seed, 3); }

TeacherLogits teacher(std::vector<float> logits) {
  return [logits = std::move(logits)](int64_t first, int64_t rows, float* out) -> Status {
    std::copy_n(logits.begin() + first * kTokens, rows * kTokens, out);
    return ok_status();
  };
}

std::vector<double> softmax(const float* logits, double temperature) {
  std::vector<double> p(kTokens);
  for (size_t v = 0; v < p.size(); ++v) p[v] = std::exp(double{logits[v]} / temperature);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

TEST(Ensemble, PredictsTheMeanOfItsTeachers) {
  constexpr int64_t kRows = 9, kFirst = 2;
  ThreadPool pool(2);
  Ledger ledger;
  EnsembleScratch scratch{ledger};
  for (const double temperature : {1.0, 2.5}) {
    for (const uint32_t teachers : {2u, 3u}) {
      std::vector<TeacherLogits> all;
      for (uint32_t t = 0; t < teachers; ++t) all.push_back(teacher(logits_of(t, kRows)));
      const auto lesson =
          ensemble(std::move(all), {.V = kTokens, .temperature = temperature, .parallel = pool.parallel()}, scratch);
      std::vector<float> out(static_cast<size_t>((kRows - kFirst) * kTokens));
      ASSERT_TRUE(lesson(kFirst, kRows - kFirst, out.data()).ok());
      for (int64_t row = 0; row < kRows - kFirst; ++row) {
        std::vector<double> mean(kTokens, 0.0);
        for (uint32_t t = 0; t < teachers; ++t) {
          const auto p = softmax(logits_of(t, kRows).data() + (kFirst + row) * kTokens, temperature);
          for (size_t v = 0; v < p.size(); ++v) mean[v] += p[v] / teachers;
        }
        const auto got = softmax(out.data() + row * kTokens, temperature);
        for (size_t v = 0; v < mean.size(); ++v) EXPECT_NEAR(got[v], mean[v], 1e-6) << temperature << " " << v;
      }
    }
  }
}

TEST(Ensemble, OfOneIsThatOne) {
  const std::vector<float> logits = logits_of(5, 3);
  Ledger ledger;
  EnsembleScratch scratch{ledger};
  std::vector<TeacherLogits> one;
  one.push_back(teacher(logits));
  std::vector<float> out(logits.size());
  ASSERT_TRUE(ensemble(std::move(one), {.V = kTokens}, scratch)(0, 3, out.data()).ok());
  EXPECT_EQ(out, logits);
}

// One teacher is certain, and where it is, the others' small probabilities must not become infinities.
TEST(Ensemble, StaysFiniteWhereNobodyThinksATokenPossible) {
  std::vector<float> certain(kTokens, -200.0f);
  certain[3] = 200.0f;
  Ledger ledger;
  EnsembleScratch scratch{ledger};
  std::vector<TeacherLogits> all;
  all.push_back(teacher(certain));
  all.push_back(teacher(certain));
  std::vector<float> out(kTokens);
  ASSERT_TRUE(ensemble(std::move(all), {.V = kTokens}, scratch)(0, 1, out.data()).ok());
  for (const float z : out) EXPECT_TRUE(std::isfinite(z));
  EXPECT_NEAR(softmax(out.data(), 1)[3], 1, 1e-6);
}

TEST(Ensemble, PassesOnWhatATeacherSaysIsWrong) {
  Ledger ledger;
  EnsembleScratch scratch{ledger};
  std::vector<TeacherLogits> all;
  all.push_back(teacher(logits_of(1, 2)));
  all.push_back([](int64_t, int64_t, float*) { return Status(Code::out_of_range, "not taught"); });
  std::vector<float> out(2 * kTokens);
  const Status status = ensemble(std::move(all), {.V = kTokens}, scratch)(0, 2, out.data());
  EXPECT_EQ(status.code(), Code::out_of_range);
}

TEST(Ensemble, IsRefusedWhereItsRowsDoNotFitTheLedger) {
  Ledger ledger(64);
  EnsembleScratch scratch{ledger};
  std::vector<TeacherLogits> all;
  all.push_back(teacher(logits_of(1, 2)));
  all.push_back(teacher(logits_of(2, 2)));
  std::vector<float> out(2 * kTokens);
  EXPECT_EQ(ensemble(std::move(all), {.V = kTokens}, scratch)(0, 2, out.data()).code(), Code::resource_exhausted);
}

}  // namespace
}  // namespace kinglet::train
