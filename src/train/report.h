// What a run was, on one page of HTML that needs nothing else: curves, samples before and after, every setting.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "formats/json_fwd.h"

namespace kinglet::train {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< (step, value), steps ascending
};

struct Chart {
  std::string title;
  std::vector<Curve> curves;  ///< at most four are told apart by colour
};

/// A prompt and what the model made of it.
struct ReportSample {
  std::string prompt, before, after;
};

struct Report {
  std::string title;
  std::vector<std::pair<std::string, std::string>> figures;  ///< what came of it: "held-out loss", "1.51"
  std::vector<Chart> charts;
  std::vector<ReportSample> samples;
  std::vector<std::pair<std::string, std::string>> settings;
};

std::string html(const Report& report);

/// Charts of a log's lines (read_log()): losses, learning rate, gradient norm, speed.
std::vector<Chart> charts_of(const std::vector<Json>& log);

}  // namespace kinglet::train
