#include "train/preference.h"

#include <algorithm>

#include "formats/json.h"
#include "host/error.h"

namespace kinglet::train {
namespace {

/// Where the answer begins: its first label. The prompt has none.
size_t answer_begin(std::span<const int32_t> labels) {
  return static_cast<size_t>(std::find_if(labels.begin(), labels.end(), [](int32_t l) { return l != kIgnore; }) -
                             labels.begin());
}

/// Prompts with the answers of samples half the data away.
Dataset mismatch(const Dataset& data) {
  Dataset out;
  const size_t n = data.size(), shift = std::max<size_t>(1, n / 2);
  for (size_t i = 0; i < n; ++i) {
    const size_t other = (i + shift) % n;
    const auto prompt = data.ids(i).first(answer_begin(data.labels(i)));
    const size_t begin = answer_begin(data.labels(other));
    Sample sample{{prompt.begin(), prompt.end()}, std::vector<int32_t>(prompt.size(), kIgnore)};
    const auto ids = data.ids(other).subspan(begin), labels = data.labels(other).subspan(begin);
    sample.ids.insert(sample.ids.end(), ids.begin(), ids.end());
    sample.labels.insert(sample.labels.end(), labels.begin(), labels.end());
    out.add(sample, {});
  }
  return out;
}

DataOrder in_order(const Dataset& data, size_t group) {
  return {data, {.window = 0, .shuffle = false, .seed = 0, .group = group}};
}

int64_t groups_of(const std::vector<std::vector<Window>>& batches, size_t group) {
  size_t windows = 0;
  for (const auto& batch : batches) windows += batch.size();
  return static_cast<int64_t>(windows / group);
}

}  // namespace

Result<std::vector<double>> answer_log_probs(Graph& graph, const Dataset& data, const BatchBudget& budget) {
  DataOrder order = in_order(data, 1);
  std::vector<double> out;
  for (DataCursor cursor; cursor.next < order.epoch_size(0);) {
    KL_ASSIGN(const std::vector<double> some, graph.sequence_log_probs(order.batch(order.next(cursor, budget))));
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

Result<PreferenceData> PreferenceData::create(const Dataset& data, const PreferenceOptions& options,
                                              const AnswerScorer& reference) {
  PreferenceData out(data);
  for (size_t i = 0; i < data.size(); ++i) out.tokens_.push_back(counted_targets(data.sample(i)));
  out.reference_.resize(data.size());
  if (!needs_reference(options.method)) return out;
  KL_ASSIGN(out.reference_, reference(data));
  if (options.method != PreferenceMethod::kto) return out;
  out.mismatched_ = mismatch(data);
  KL_ASSIGN(out.mismatched_reference_, reference(out.mismatched_));
  return out;
}

AnswerScore PreferenceData::score(uint32_t sample, double policy) const {
  return {policy, reference_[sample], tokens_[sample]};
}

/// KTO: how much likelier the policy finds answers to other prompts than the reference does, on average. No gradient.
Result<double> PreferenceTraining::divergence(const PreferenceData& on, std::span<const Window> windows) {
  if (options_.method != PreferenceMethod::kto) return 0.0;
  const DataOrder order = in_order(on.mismatched(), 1);
  std::vector<Window> others;
  for (const Window& w : windows) {
    const auto length = static_cast<uint32_t>(on.mismatched().ids(w.sample).size() - 1);
    others.push_back({w.sample, 0, length});
  }
  KL_ASSIGN(const std::vector<double> log_probs, graph_.sequence_log_probs(order.batch(others)));
  double sum = 0;
  for (size_t i = 0; i < others.size(); ++i) sum += log_probs[i] - on.mismatched_reference(others[i].sample);
  return std::max(0.0, sum / static_cast<double>(others.size()));
}

/// The sum of the batch's losses times `weight`, and its derivatives where `slopes` is not empty.
double PreferenceTraining::losses(const PreferenceData& on, std::span<const Window> windows,
                                  std::span<const double> log_probs, double divergence, double weight,
                                  std::span<double> slopes, PreferenceScore* score) const {
  double sum = 0;
  for (size_t i = 0; i < windows.size(); i += group()) {
    const AnswerScore first = on.score(windows[i].sample, log_probs[i]);
    double margin = 0, slope[2] = {};
    if (group() == 2) {
      const PairLoss loss = pair_loss(options_, first, on.score(windows[i + 1].sample, log_probs[i + 1]));
      sum += weight * loss.loss;
      margin = loss.margin;
      slope[0] = loss.d_chosen, slope[1] = loss.d_rejected;
    } else {
      const bool wanted = on.data().kind(windows[i].sample).wanted;
      const SingleLoss loss = kto_loss(options_, first, wanted, divergence);
      sum += weight * loss.loss;
      margin = wanted ? loss.reward : -loss.reward;
      slope[0] = loss.d_policy;
    }
    if (!slopes.empty())
      for (size_t j = 0; j < group(); ++j) slopes[i + j] = weight * slope[j];
    if (score == nullptr) continue;
    score->accuracy += margin > 0;
    score->margin += margin;
    ++score->comparisons;
  }
  return sum;
}

Result<StepLoss> PreferenceTraining::accumulate() {
  std::vector<std::vector<Window>> batches;
  do batches.push_back(order_.next(cursor_, shape_.batch));
  while (static_cast<int64_t>(batches.size()) < shape_.batches && cursor_.next < order_.epoch_size(cursor_.epoch));
  const double weight = 1.0 / static_cast<double>(groups_of(batches, group()));
  StepLoss out;
  for (const auto& windows : batches) {
    const Batch batch = order_.batch(windows);
    KL_ASSIGN(const double kl, divergence(training_, windows));
    const auto loss = [&](std::span<const double> log_probs, std::span<double> slopes) {
      return losses(training_, windows, log_probs, kl, weight, slopes, nullptr);
    };
    KL_ASSIGN(const double sum, graph_.backward_sequences(batch, loss));
    out.loss += sum;
    out.tokens += batch.size();
    out.targets += unmasked(batch);
  }
  return out;
}

Result<PreferenceScore> PreferenceTraining::score(const PreferenceData& on) {
  DataOrder order = in_order(on.data(), group());
  PreferenceScore out;
  for (DataCursor cursor; cursor.next < order.epoch_size(0);) {
    const std::vector<Window> windows = order.next(cursor, shape_.batch);
    KL_ASSIGN(const double kl, divergence(on, windows));
    KL_ASSIGN(const std::vector<double> log_probs, graph_.sequence_log_probs(order.batch(windows)));
    out.loss += losses(on, windows, log_probs, kl, 1, {}, &out);
  }
  const auto n = static_cast<double>(out.comparisons);
  out.loss /= n;
  out.accuracy /= n;
  out.margin /= n;
  return out;
}

Result<std::optional<double>> PreferenceTraining::evaluate() {
  if (held_out_ == nullptr) return std::optional<double>();
  KL_ASSIGN(const PreferenceScore now, score(*held_out_));
  return std::optional<double>(now.loss);
}

Json PreferenceTraining::cursor() const { return to_json(cursor_); }

Status PreferenceTraining::restore(const Json& cursor) {
  KL_ASSIGN(cursor_, order_.cursor_from(cursor));
  return ok_status();
}

}  // namespace kinglet::train
