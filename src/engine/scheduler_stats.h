// What a scheduler has done, counted for whoever watches over it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/answer_stream.h"

namespace kinglet {

/// Counts of durations, in buckets whose upper ends are fixed.
struct Histogram {
  static constexpr std::array<double, 16> kBounds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5,
                                                     0.75,  1,    2,     4,    8,   16,  32,   64};  ///< seconds
  std::array<uint64_t, kBounds.size() + 1> counts{};  ///< of values up to the bound; the last: beyond all
  double sum = 0;

  void observe(double seconds) {
    size_t i = 0;
    while (i < kBounds.size() && seconds > kBounds[i]) ++i;
    ++counts[i];
    sum += seconds;
  }
};

struct SchedulerStats {
  // now
  int64_t waiting = 0;           ///< requests
  int64_t running = 0;           ///< answers
  int64_t cached_sequences = 0;  ///< in the prefix cache
  uint64_t kv_bytes = 0;         ///< of pages in use
  // since the start
  std::array<uint64_t, 5> finished{};  ///< answers, by Finish
  uint64_t failed = 0;                 ///< requests
  uint64_t refused = 0;                ///< requests, for a full queue
  uint64_t prompt_tokens = 0;          ///< of requests that began to answer
  uint64_t cached_tokens = 0;          ///< of those, not evaluated again
  uint64_t answer_tokens = 0;
  uint64_t guessed_tokens = 0;    ///< evaluated before they were known
  uint64_t accepted_tokens = 0;   ///< of those, how many came true
  double constraint_seconds = 0;  ///< of choosing tokens: what following grammars and their masks took
  uint64_t steps = 0;             ///< batches
  uint64_t preemptions = 0;       ///< answers that gave up their pages and were taken up again
  uint64_t evictions = 0;         ///< from the prefix cache
  Histogram first_token;          ///< from submit() to a request's first token
  Histogram per_token;            ///< between a sequence's tokens

  uint64_t& count(Finish finish) { return finished[static_cast<size_t>(finish)]; }
};

}  // namespace kinglet
