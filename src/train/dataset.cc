#include "train/dataset.h"

#include <algorithm>

#include "host/error.h"

namespace kinglet::train {
namespace {

constexpr int64_t kProgressRows = 256;

/// Adds the samples of one row; rows whose cut left nothing to learn are counted and left out.
class Loader {
 public:
  Loader(const SampleMaker& maker, DataGoal goal, Dataset& data, LoadReport& report)
      : maker_(maker), goal_(goal), data_(data), report_(report) {}

  Status add(const Row& row) {
    const auto* prompt = std::get_if<PromptRow>(&row.content);
    const bool preference = prompt != nullptr && !prompt->chosen.is_null();
    if (goal_ == DataGoal::preferences || (goal_ == DataGoal::labelled && preference)) return add_pair(row);
    if (goal_ == DataGoal::labelled && (prompt == nullptr || !prompt->label))
      return Status(Code::corrupt, "it takes prompt, completion and label (or prompt, chosen and rejected)");
    Cut cut;
    KL_ASSIGN(const Sample sample, maker_.sample(row, cut));
    if (!note(cut, counted_targets(sample) == 0)) return ok_status();
    data_.add(sample, {.text = std::holds_alternative<TextRow>(row.content),
                       .wanted = goal_ != DataGoal::labelled || *prompt->label});
    return ok_status();
  }

 private:
  Status add_pair(const Row& row) {
    Cut cut;
    KL_ASSIGN(const SamplePair pair, maker_.pair(row, cut));
    if (!note(cut, counted_targets(pair.chosen) == 0 || counted_targets(pair.rejected) == 0)) return ok_status();
    data_.add(pair.chosen, {.text = false, .wanted = true});
    data_.add(pair.rejected, {.text = false, .wanted = false});
    return ok_status();
  }

  bool note(const Cut& cut, bool empty) {
    ++report_.rows;
    report_.cut_rows += cut.tokens > 0;
    report_.cut_tokens += cut.tokens;
    report_.emptied += empty;
    return !empty;
  }

  const SampleMaker& maker_;
  DataGoal goal_;
  Dataset& data_;
  LoadReport& report_;
};

Status nothing_left(const RowProblems& problems, const LoadReport& report) {
  if (problems.count() > 0)
    return error(Code::corrupt, "none of {} rows can be used; the first: {}", problems.count(), problems.first()[0]);
  if (report.emptied > 0)
    return error(Code::corrupt, "nothing that counts for the loss lies within --max-length in any of {} rows",
                 report.emptied);
  return Status(Code::corrupt, "the data holds no rows");
}

}  // namespace

void Dataset::add(const Sample& sample, Kind kind) {
  if (labels_.empty() && sample.labels != sample.ids) labels_ = ids_;
  const bool apart = !labels_.empty() || sample.labels != sample.ids;
  ids_.insert(ids_.end(), sample.ids.begin(), sample.ids.end());
  if (apart) labels_.insert(labels_.end(), sample.labels.begin(), sample.labels.end());
  starts_.push_back(ids_.size());
  kinds_.push_back(kind);
  counted_ += counted_targets(sample);
}

int64_t Dataset::longest() const {
  size_t longest = 0;
  for (size_t i = 0; i < size(); ++i)
    if (!kinds_[i].text) longest = std::max(longest, starts_[i + 1] - starts_[i]);
  return static_cast<int64_t>(longest);
}

Sample Dataset::sample(size_t i) const {
  return {{ids(i).begin(), ids(i).end()}, {labels(i).begin(), labels(i).end()}};
}

Result<Dataset> load_dataset(const std::vector<std::string>& files, const SampleMaker& maker,
                             const LoadOptions& options, RowProblems& problems, LoadReport& report) {
  Dataset data;
  Loader loader(maker, options.goal, data, report);
  RowReader reader(files, problems);
  for (;;) {
    KL_ASSIGN(const std::optional<Row> row, reader.next());
    if (!row) break;
    if (const Status status = loader.add(*row); !status.ok()) {
      if (status.code() == Code::unsupported) return annotate(row->place(), status);
      KL_TRY(problems.add(row->place(), status));
    }
    if (options.progress && report.rows % kProgressRows == 0 && !options.progress(report.rows))
      return Status(Code::cancelled, "interrupted");
  }
  if (data.size() == 0) return nothing_left(problems, report);
  return data;
}

std::vector<std::string> describe(const LoadReport& report, const RowProblems& problems, int64_t max_length) {
  std::vector<std::string> lines;
  if (report.cut_rows > 0) {
    lines.push_back(fmt::format("{} of {} rows cut to {} tokens ({} tokens lost)", report.cut_rows, report.rows,
                                max_length, report.cut_tokens));
  }
  if (report.emptied > 0) {
    lines.push_back(fmt::format("{} rows left out: what counts for the loss lies behind the first {} tokens",
                                report.emptied, max_length));
  }
  if (problems.count() > 0) {
    lines.push_back(fmt::format("{} malformed row{} left out:", problems.count(), problems.count() == 1 ? "" : "s"));
    for (const std::string& one : problems.first()) lines.push_back("  " + one);
    if (problems.count() > static_cast<int64_t>(problems.first().size())) lines.emplace_back("  ...");
  }
  return lines;
}

}  // namespace kinglet::train
