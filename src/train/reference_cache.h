// Log probabilities that a reference model gives to answers, computed once and kept in a file: a run that is resumed or
// repeated takes them from there.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "arch/model_spec.h"
#include "formats/checkpoint.h"
#include "train/dataset.h"

namespace kinglet::train {

/// A name for a model as it computes: its program and the bytes of every weight. Errors: those of find_param.
Result<std::string> model_key(const Checkpoint& checkpoint, const ModelSpec& spec);
/// A name for samples: their ids and labels, and so the tokenizer and the template that made them.
std::string data_key(const Dataset& data);

using AnswerScorer = std::function<Result<std::vector<double>>(const Dataset& data)>;

class ReferenceCache {
 public:
  /// Files lie in `folder` (empty: none are kept) and belong to `model`: model_key() and how its products round.
  ReferenceCache(std::string folder, std::string model) : folder_(std::move(folder)), model_(std::move(model)) {}

  /// What the file for these data holds, or else what `compute` answers, which is written (beside, and renamed). A file that
  /// is damaged or of something else is replaced; one that cannot be written costs nothing but the next time.
  /// Errors: those of `compute`.
  Result<std::vector<double>> log_probs(const Dataset& data, const AnswerScorer& compute);

  int64_t computed() const { return computed_; }  ///< answers that were
  int64_t found() const { return found_; }        ///< and that were there

 private:
  std::string folder_, model_;
  int64_t computed_ = 0, found_ = 0;
};

}  // namespace kinglet::train
