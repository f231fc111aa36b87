// The text that Prometheus reads (its exposition format 0.0.4).
#pragma once

#include <string>
#include <vector>

#include "host/ledger.h"
#include "server/model_shelf.h"

namespace kinglet::server {

struct ModelMetrics {
  std::string model;
  SchedulerStats stats;
  double stalled_seconds = 0;
  GrammarPoolStats grammars;
};

struct ServerMetrics {
  std::vector<ModelMetrics> models{};                  ///< those in memory
  std::vector<std::pair<std::string, bool>> loaded{};  ///< all, and whether they are
  ModelShelf::Counts shelf{};
  int64_t open_requests = 0;
};

std::string metrics_text(const ServerMetrics& metrics, const Ledger& ledger);

}  // namespace kinglet::server
