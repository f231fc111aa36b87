// Training data in memory: samples one behind another, and the order in which each epoch takes them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "train/data_samples.h"

namespace kinglet::train {

/// What rows are wanted for.
enum class DataGoal : uint8_t {
  samples,      ///< any row with one answer, text or ids
  preferences,  ///< prompt, chosen, rejected: samples 2i and 2i + 1
  labelled,     ///< prompt, completion and label; a preference counts as two of them
};

class Dataset {
 public:
  /// What a sample is beside its ids and labels.
  struct Kind {
    bool text = false;   ///< may be cut into windows
    bool wanted = true;  ///< DataGoal::labelled: whether the answer is
  };

  void add(const Sample& sample, Kind kind);
  size_t size() const { return kinds_.size(); }
  std::span<const int32_t> ids(size_t i) const { return part(ids_, i); }
  std::span<const int32_t> labels(size_t i) const { return part(labels_.empty() ? ids_ : labels_, i); }
  Kind kind(size_t i) const { return kinds_[i]; }
  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }
  int64_t counted() const { return counted_; }  ///< targets that count for the loss
  int64_t longest() const;                      ///< tokens of the longest sample that is no text
  Sample sample(size_t i) const;

 private:
  std::span<const int32_t> part(const std::vector<int32_t>& of, size_t i) const {
    return std::span(of).subspan(starts_[i], starts_[i + 1] - starts_[i]);
  }
  std::vector<int32_t> ids_;
  std::vector<int32_t> labels_;  ///< empty as long as they are the ids
  std::vector<size_t> starts_{0};
  std::vector<Kind> kinds_;
  int64_t counted_ = 0;
};

/// What loading did with the rows.
struct LoadReport {
  int64_t rows = 0;      ///< well-formed ones
  int64_t cut_rows = 0;  ///< longer than max_length
  int64_t cut_tokens = 0;
  int64_t emptied = 0;  ///< left out: everything that counts was cut off
};

struct LoadOptions {
  DataGoal goal = DataGoal::samples;
  /// Called now and then with the rows so far; false stops (Code::cancelled).
  std::function<bool(int64_t rows)> progress;
};

/// Reads and tokenizes every row of `files`. Errors: a file that cannot be read; what `problems` answers to a bad row;
/// unsupported as soon as the template does not fit or a sample begins with two BOS; corrupt where no row is left, with
/// the first problem.
Result<Dataset> load_dataset(const std::vector<std::string>& files, const SampleMaker& maker,
                             const LoadOptions& options, RowProblems& problems, LoadReport& report);

/// "3 of 2000 rows cut to 512 tokens (1811 tokens lost)", "2 malformed rows, the first data.jsonl:7: ...": one line
/// each, nothing where all went well.
std::vector<std::string> describe(const LoadReport& report, const RowProblems& problems, int64_t max_length);

}  // namespace kinglet::train
