#include "server/single_answer_sink.h"

#include <utility>

namespace kinglet::server {

void SingleAnswerSink::begin() {
  if (stream_ && !std::exchange(streaming_, true)) begin_stream();
}

void SingleAnswerSink::take(std::string text) {
  if (!parser_) return add({AnswerPart::Kind::content, std::move(text)});
  for (AnswerPart& part : parser_->push(text)) add(std::move(part));
}

void SingleAnswerSink::on_token(int32_t, AnswerToken token) {
  begin();
  take(std::move(token.text));
  if (parser_ && parser_->thinking()) ++reasoning_tokens_;
  sent_token();
}

void SingleAnswerSink::on_finish(int32_t, Finish finish, std::string rest, std::string_view) {
  finish_ = finish;
  if (finish == Finish::cancelled) return;
  begin();
  take(std::move(rest));
  if (parser_)
    for (AnswerPart& part : parser_->finish()) add(std::move(part));
  close();
}

void SingleAnswerSink::on_done(const Status& status, const RequestUsage& usage) {
  if (done_) done_(status_for_log(*exchange_, status), usage);
  if (status.ok()) return end(nullptr, usage);
  const ApiError error = to_api_error(status);
  if (streaming_) end(&error, usage);
  else exchange_->respond(refusal(error));
}

}  // namespace kinglet::server
