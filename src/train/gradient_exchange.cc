#include "train/gradient_exchange.h"

#include <algorithm>

namespace kinglet::train {

GradientExchange::GradientExchange(Parameters& parameters, Collective& collective, size_t bucket_bytes)
    : collective_(&collective), bucket_of_(parameters.all().size(), kNone) {
  for (size_t i = parameters.all().size(); i-- > 0;) {
    const std::span<float> gradient = parameters.all()[i].gradient;
    if (gradient.empty()) continue;
    // Gradients lie in one block in the parameters' order, with zeros between them.
    if (buckets_.empty() || buckets_.back().gradients.size_bytes() + gradient.size_bytes() > bucket_bytes) {
      buckets_.push_back({.gradients = gradient});
    } else {
      std::span<float>& whole = buckets_.back().gradients;
      whole = {gradient.data(), static_cast<size_t>(whole.data() + whole.size() - gradient.data())};
    }
    ++buckets_.back().parameters;
    bucket_of_[i] = static_cast<int32_t>(buckets_.size() - 1);
  }
}

void GradientExchange::begin_last_batch() {
  for (Bucket& bucket : buckets_) bucket.waiting = bucket.parameters;
  begun_ = 0;
  last_batch_ = true;
}

void GradientExchange::ready(ParamId param) {
  const int32_t bucket = bucket_of_[static_cast<size_t>(param)];
  if (!last_batch_ || bucket == kNone) return;
  --buckets_[static_cast<size_t>(bucket)].waiting;
  begin_ready();
}

void GradientExchange::begin_ready() {
  for (; begun_ < buckets_.size() && buckets_[begun_].waiting <= 0 && status_.ok(); ++begun_)
    status_ = collective_->begin_sum(buckets_[begun_].gradients);
  if (status_.ok()) status_ = collective_->advance();
}

Status GradientExchange::finish() {
  begun_early_ = begun_;
  for (Bucket& bucket : buckets_) bucket.waiting = 0;
  begin_ready();
  last_batch_ = false;
  KL_TRY(status_);
  return collective_->finish_sums();
}

}  // namespace kinglet::train
