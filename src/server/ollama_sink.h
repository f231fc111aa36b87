// Writes the answers of Ollama's /api/chat and /api/generate: one object, or a line of JSON for each piece.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "server/ollama_request.h"
#include "server/single_answer_sink.h"

namespace kinglet::server {

/// A whole answer that says what is wrong.
HttpReply ollama_error(const ApiError& error);

struct OllamaHead {
  OllamaKind kind = OllamaKind::chat;
  std::string model;
  bool stream = true;
};

class OllamaSink final : public SingleAnswerSink {
 public:
  OllamaSink(std::shared_ptr<Exchange> exchange, OllamaHead head, std::optional<AnswerParser> parser, RequestDone done)
      : SingleAnswerSink(std::move(exchange), head.stream, std::move(parser), std::move(done)),
        head_(std::move(head)) {}

 private:
  struct Said {
    std::string content, thinking;
    Json calls = Json::array();
  };
  void begin_stream() override { exchange().begin({200, "application/x-ndjson", ""}); }
  void add(AnswerPart part) override;
  void sent_token() override;
  void close() override;
  void end(const ApiError* error, const RequestUsage& usage) override;
  HttpReply refusal(const ApiError& error) const override { return ollama_error(error); }
  void end_call();
  void send(const Json& line);
  Json line_of(const Said& said, bool done) const;

  const OllamaHead head_;
  Said said_;                     ///< not sent yet
  std::string call_, arguments_;  ///< of a call that may go on
};

/// Now, as RFC 3339 has it.
std::string timestamp();

}  // namespace kinglet::server
