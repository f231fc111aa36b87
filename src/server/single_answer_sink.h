// What the interfaces with one answer to a request have in common: parts of the answer as the parser tells them apart, whole or as a stream.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/scheduler.h"
#include "server/answer_parser.h"
#include "server/completion_sink.h"
#include "server/http_server.h"

namespace kinglet::server {

/// A stream begins with the first token: what goes wrong before that has its own status.
class SingleAnswerSink : public AnswerSink {
 public:
  void on_token(int32_t choice, AnswerToken token) final;
  void on_finish(int32_t choice, Finish finish, std::string rest, std::string_view stop) final;
  void on_done(const Status& status, const RequestUsage& usage) final;

 protected:
  /// Without a parser the text is the answer.
  SingleAnswerSink(std::shared_ptr<Exchange> exchange, bool stream, std::optional<AnswerParser> parser,
                   RequestDone done)
      : exchange_(std::move(exchange)), parser_(std::move(parser)), stream_(stream), done_(std::move(done)) {}

  virtual void begin_stream() = 0;
  virtual void add(AnswerPart part) = 0;
  virtual void sent_token() {}  ///< its parts have been added
  virtual void close() = 0;     ///< the last part has been added
  /// Sends the end, or the whole where it is no stream. Where `error` is not null it went wrong in the middle of a stream.
  virtual void end(const ApiError* error, const RequestUsage& usage) = 0;
  virtual HttpReply refusal(const ApiError& error) const = 0;

  bool cut() const { return finish_ == Finish::length || finish_ == Finish::context; }
  bool streaming() const { return streaming_; }  ///< the stream's head has been sent
  Exchange& exchange() { return *exchange_; }
  const AnswerParser& parser() const { return *parser_; }
  int64_t reasoning_tokens() const { return reasoning_tokens_; }

 private:
  void begin();
  void take(std::string text);

  std::shared_ptr<Exchange> exchange_;
  std::optional<AnswerParser> parser_;
  const bool stream_;
  RequestDone done_;
  Finish finish_ = Finish::end;
  int64_t reasoning_tokens_ = 0;
  bool streaming_ = false;
};

}  // namespace kinglet::server
