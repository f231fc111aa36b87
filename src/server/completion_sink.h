// Writes the answers of /v1/chat/completions and /v1/completions as they come from the scheduler.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>

#include "engine/scheduler.h"
#include "formats/json.h"
#include "server/answer_parser.h"
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
  std::optional<AnswerParser> parser{};  ///< of a chat
};

/// Told when all is there to be said, before the answer ends: for the log, and to let go of the model.
using RequestDone = std::function<void(int status, const RequestUsage&)>;
/// What the log says of a request: 200, the error's status, or 499 where the client has gone.
int status_for_log(Exchange& exchange, const Status& status);

/// A stream begins with the first token: what goes wrong before that has its own status.
class CompletionSink final : public AnswerSink {
 public:
  CompletionSink(std::shared_ptr<Exchange> exchange, CompletionHead head, const Tokenizer& tokenizer, RequestDone done)
      : exchange_(std::move(exchange)), head_(std::move(head)), tokenizer_(&tokenizer), done_(std::move(done)) {}

  void on_token(int32_t choice, AnswerToken token) override;
  void on_finish(int32_t choice, Finish finish, std::string rest, std::string_view stop) override;
  void on_done(const Status& status, const RequestUsage& usage) override;

 private:
  struct Answer {
    std::optional<AnswerParser> parser;
    std::string text, reasoning;
    Json calls = Json::array();
    Json logprobs = Json::array();  ///< of its tokens
    int64_t offset = 0;             ///< bytes of text before the next token
    std::string_view finish_reason;
    bool begun = false;  ///< its role has been sent
  };
  Answer& answer_of(int32_t choice);
  void add(int32_t choice, std::vector<AnswerPart> parts, Json logprobs);
  Json add_part(Answer& answer, const AnswerPart& part) const;
  Json token_logprobs(const AnswerToken& token) const;
  Json logprobs_of(const Json& tokens, int64_t offset) const;
  Json envelope(std::string_view object) const;
  Json choice_json(int32_t index, const Answer& answer) const;
  void send_chunk(int32_t index, Json said, const Json& logprobs, std::string_view finish_reason);
  void send(const Json& event);
  void begin_stream();

  std::shared_ptr<Exchange> exchange_;
  const CompletionHead head_;
  const Tokenizer* tokenizer_;
  RequestDone done_;
  std::map<int32_t, Answer> answers_;
  int64_t reasoning_tokens_ = 0;
  bool streaming_ = false;  ///< the stream's head has been sent
};

}  // namespace kinglet::server
