// Several texts to vectors: as many at a time as the model answers at once.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "engine/scheduler.h"
#include "server/api_error.h"

namespace kinglet::server {

/// The hidden state of each text's last token behind the model's last norm, of length 1.
struct Embeddings {
  std::vector<std::vector<float>> vectors;  ///< one for each prompt, C values each
  RequestUsage usage;                       ///< of all
};

struct EmbeddingWork {
  std::vector<std::vector<TokenId>> prompts;
  int32_t adapter = kNone;  ///< as Request's
  std::string client;
};

class EmbeddingBatch : public std::enable_shared_from_this<EmbeddingBatch> {
 public:
  using Done = std::function<void(std::variant<Embeddings, ApiError>)>;
  EmbeddingBatch(Scheduler& scheduler, EmbeddingWork work, Done done);

  /// `done` is called once, on any thread.
  void start();
  void cancel();  ///< any thread

 private:
  class Sink;
  void submit_next();
  void take(size_t index, std::span<const float> values);
  void end(const Status& status, const RequestUsage& usage);

  Scheduler& scheduler_;
  EmbeddingWork work_;
  Done done_;
  std::mutex mutex_;  ///< of all that follows
  Embeddings embeddings_;
  std::vector<std::shared_ptr<Ticket>> tickets_;
  size_t next_ = 0, open_ = 0;
  Status status_;
};

}  // namespace kinglet::server
