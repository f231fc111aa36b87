// Writes the answers of /v1/chat/completions and /v1/completions as they come from the scheduler.
#pragma once

#include <chrono>
#include <map>
#include <memory>

#include "engine/scheduler.h"
#include "formats/json.h"
#include "server/completion_request.h"
#include "server/http_server.h"

namespace kinglet::server {

enum class CompletionKind : uint8_t { chat, text };

/// What an answer says of itself.
struct CompletionHead {
  CompletionKind kind = CompletionKind::chat;
  std::string id, model;
  int64_t created = 0;  ///< seconds since 1970
  bool stream = false, include_usage = false, logprobs = false;
};

/// A stream begins with the first token: what goes wrong before that has its own status.
class CompletionSink final : public AnswerSink {
 public:
  using Done = std::function<void(int status, const RequestUsage&)>;
  /// `done` is told when all is said, for the log.
  CompletionSink(std::shared_ptr<Exchange> exchange, CompletionHead head, const Tokenizer& tokenizer, Done done)
      : exchange_(std::move(exchange)), head_(std::move(head)), tokenizer_(&tokenizer), done_(std::move(done)) {}

  void on_token(int32_t choice, AnswerToken token) override;
  void on_finish(int32_t choice, Finish finish, std::string rest, std::string_view stop) override;
  void on_done(const Status& status, const RequestUsage& usage) override;

 private:
  struct Answer {
    std::string text;
    Json logprobs = Json::array();  ///< of its tokens
    int64_t offset = 0;             ///< bytes of text before the next token
    std::string_view finish_reason;
    bool begun = false;  ///< its role has been sent
  };
  Json token_logprobs(const AnswerToken& token) const;
  Json logprobs_of(const Json& tokens, int64_t offset) const;
  Json envelope(std::string_view object) const;
  Json choice_json(int32_t index, const Answer& answer) const;
  void send_chunk(int32_t index, std::string_view text, const Json& logprobs, std::string_view finish_reason);
  void send(const Json& event);
  void begin_stream();

  std::shared_ptr<Exchange> exchange_;
  const CompletionHead head_;
  const Tokenizer* tokenizer_;
  Done done_;
  std::map<int32_t, Answer> answers_;
  bool streaming_ = false;  ///< the stream's head has been sent
};

Json usage_json(const RequestUsage& usage);

}  // namespace kinglet::server
