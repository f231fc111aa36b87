// Data that a run is measured on and does not learn from.
#pragma once

#include <utility>

#include "train/dataset.h"

namespace kinglet::train {

/// The first tokens of `data` and, apart, the last `share` of them (0 to 1). The cut goes through a text where it lies in one, and
/// between two samples elsewhere. Errors: out_of_range where a side is left without samples.
Result<std::pair<Dataset, Dataset>> split_off_end(const Dataset& data, double share);

}  // namespace kinglet::train
