// Writes the answers of /v1/responses: one object, or its events as they come.
#pragma once

#include <memory>
#include <string>

#include "engine/scheduler.h"
#include "server/answer_parser.h"
#include "server/completion_sink.h"
#include "server/http_server.h"

namespace kinglet::server {

struct ResponsesHead {
  std::string id, model;
  int64_t created = 0;  ///< seconds since 1970
  bool stream = false;
  Json echo;  ///< of the request
  AnswerParser parser;
};

class ResponsesSink final : public AnswerSink {
 public:
  ResponsesSink(std::shared_ptr<Exchange> exchange, ResponsesHead head, RequestDone done)
      : exchange_(std::move(exchange)), head_(std::move(head)), done_(std::move(done)) {}

  void on_token(int32_t choice, AnswerToken token) override;
  void on_finish(int32_t choice, Finish finish, std::string rest, std::string_view stop) override;
  void on_done(const Status& status, const RequestUsage& usage) override;

 private:
  enum class Item : uint8_t { none, message, reasoning, call };
  void add(const AnswerPart& part);
  void open(Item item, const std::string& name);
  void close();
  void begin_stream();
  void send(std::string_view type, Json fields);
  void send_of_item(std::string_view type, Json fields);
  Json response(std::string_view status) const;
  std::string next_item_id(std::string_view prefix);

  std::shared_ptr<Exchange> exchange_;
  ResponsesHead head_;
  RequestDone done_;
  Json output_ = Json::array();  ///< items; the last one may be open
  Item open_ = Item::none;
  std::string text_;  ///< of the open item
  Finish finish_ = Finish::end;
  int64_t sequence_ = 0, reasoning_tokens_ = 0;
  bool streaming_ = false;
};

}  // namespace kinglet::server
