// The text that Prometheus reads (its exposition format 0.0.4).
#pragma once

#include <string>
#include <vector>

#include "engine/grammar_pool.h"
#include "engine/scheduler_stats.h"
#include "host/ledger.h"

namespace kinglet::server {

struct ModelMetrics {
  std::string model;
  SchedulerStats stats;
  double stalled_seconds = 0;
  GrammarPoolStats grammars;
};

std::string metrics_text(const std::vector<ModelMetrics>& models, const Ledger& ledger, int64_t open_requests);

}  // namespace kinglet::server
