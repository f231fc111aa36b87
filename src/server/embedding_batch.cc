#include "server/embedding_batch.h"

#include <algorithm>
#include <cmath>

namespace kinglet::server {

class EmbeddingBatch::Sink final : public AnswerSink {
 public:
  Sink(std::shared_ptr<EmbeddingBatch> batch, size_t index) : batch_(std::move(batch)), index_(index) {}
  void on_token(int32_t, AnswerToken) override {}
  void on_finish(int32_t, Finish, std::string, std::string_view) override {}
  void on_hidden(std::span<const float> values) override { batch_->take(index_, values); }
  void on_done(const Status& status, const RequestUsage& usage) override { batch_->end(status, usage); }

 private:
  std::shared_ptr<EmbeddingBatch> batch_;
  size_t index_;
};

EmbeddingBatch::EmbeddingBatch(Scheduler& scheduler, EmbeddingWork work, Done done)
    : scheduler_(scheduler), work_(std::move(work)), done_(std::move(done)) {
  embeddings_.vectors.resize(work_.prompts.size());
}

void EmbeddingBatch::start() {
  const auto at_once = std::min(work_.prompts.size(), static_cast<size_t>(scheduler_.options().parallel));
  {
    const std::lock_guard lock(mutex_);
    open_ = at_once;
  }
  for (size_t i = 0; i < at_once; ++i) submit_next();
}

void EmbeddingBatch::cancel() {
  const std::lock_guard lock(mutex_);
  if (status_.ok()) status_ = Status(Code::cancelled, "cancelled");
  for (const auto& ticket : tickets_) ticket->cancel();
}

// One of those that count as open; what cannot be submitted ends at once.
void EmbeddingBatch::submit_next() {
  size_t index = 0;
  Status status;
  {
    const std::lock_guard lock(mutex_);
    index = next_;
    status = status_;
    if (index < work_.prompts.size()) ++next_;
  }
  if (!status.ok() || index >= work_.prompts.size()) return end(status, {});
  Request request;
  request.prompt = work_.prompts[index];
  request.embed = true;
  request.adapter = work_.adapter;
  request.client = work_.client;
  request.sink = std::make_shared<Sink>(shared_from_this(), index);
  auto ticket = scheduler_.submit(std::move(request));
  if (!ticket.ok()) return end(ticket.status(), {});
  const std::lock_guard lock(mutex_);
  tickets_.push_back(*ticket);
}

void EmbeddingBatch::take(size_t index, std::span<const float> values) {
  double sum = 0;
  for (const float x : values) sum += static_cast<double>(x) * static_cast<double>(x);
  const double scale = sum > 0 ? 1 / std::sqrt(sum) : 0;
  std::vector<float> out;
  out.reserve(values.size());
  for (const float x : values) out.push_back(static_cast<float>(static_cast<double>(x) * scale));
  const std::lock_guard lock(mutex_);
  embeddings_.vectors[index] = std::move(out);
}

void EmbeddingBatch::end(const Status& status, const RequestUsage& usage) {
  std::variant<Embeddings, ApiError> result;
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    if (status_.ok()) status_ = status;
    embeddings_.usage.prompt_tokens += usage.prompt_tokens;
    embeddings_.usage.cached_tokens += usage.cached_tokens;
    embeddings_.usage.total_seconds = std::max(embeddings_.usage.total_seconds, usage.total_seconds);
    more = status_.ok() && next_ < work_.prompts.size();
    if (!more && --open_ > 0) return;
    if (!more && status_.ok()) result = std::move(embeddings_);
    else if (!more) result = to_api_error(status_);
  }
  if (more) return submit_next();
  done_(std::move(result));
}

}  // namespace kinglet::server
