// Writes the answers of Ollama's /api/chat and /api/generate: one object, or a line of JSON for each piece.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/scheduler.h"
#include "server/answer_parser.h"
#include "server/completion_sink.h"
#include "server/http_server.h"
#include "server/ollama_request.h"

namespace kinglet::server {

struct OllamaHead {
  OllamaKind kind = OllamaKind::chat;
  std::string model;
  bool stream = true;
  std::optional<AnswerParser> parser{};  ///< absent: the text is the answer
};

class OllamaSink final : public AnswerSink {
 public:
  OllamaSink(std::shared_ptr<Exchange> exchange, OllamaHead head, RequestDone done)
      : exchange_(std::move(exchange)), head_(std::move(head)), done_(std::move(done)) {}

  void on_token(int32_t choice, AnswerToken token) override;
  void on_finish(int32_t choice, Finish finish, std::string rest, std::string_view stop) override;
  void on_done(const Status& status, const RequestUsage& usage) override;

 private:
  struct Said {
    std::string content, thinking;
    Json calls = Json::array();
  };
  void add(std::vector<AnswerPart> parts);
  void end_call();
  void send_said();
  void send(const Json& line);
  Json line_of(const Said& said, bool done) const;

  std::shared_ptr<Exchange> exchange_;
  OllamaHead head_;
  RequestDone done_;
  Said said_;                     ///< not sent yet
  std::string call_, arguments_;  ///< of a call that may go on
  Finish finish_ = Finish::end;
  bool streaming_ = false;
};

/// Now, as RFC 3339 has it.
std::string timestamp();

}  // namespace kinglet::server
