// Writes the answers of /v1/responses: one object, or its events as they come.
#pragma once

#include <memory>
#include <string>

#include "server/replies.h"
#include "server/single_answer_sink.h"

namespace kinglet::server {

struct ResponsesHead {
  std::string id, model;
  int64_t created = 0;  ///< seconds since 1970
  bool stream = false;
  Json echo;  ///< of the request
};

class ResponsesSink final : public SingleAnswerSink {
 public:
  ResponsesSink(std::shared_ptr<Exchange> exchange, ResponsesHead head, AnswerParser parser, RequestDone done)
      : SingleAnswerSink(std::move(exchange), head.stream, std::move(parser), std::move(done)),
        head_(std::move(head)) {}

 private:
  enum class Item : uint8_t { none, message, reasoning, call };
  void begin_stream() override;
  void add(AnswerPart part) override;
  void close() override;
  void end(const ApiError* error, const RequestUsage& usage) override;
  HttpReply refusal(const ApiError& error) const override { return error_reply(error); }
  void open(Item item, const std::string& name);
  void close_item();
  void send(std::string_view type, Json fields);
  void send_of_item(std::string_view type, Json fields);
  Json response(std::string_view status) const;
  std::string next_item_id(std::string_view prefix);

  const ResponsesHead head_;
  Json output_ = Json::array();  ///< items; the last one may be open
  Item open_ = Item::none;
  std::string text_;  ///< of the open item
  int64_t sequence_ = 0;
};

}  // namespace kinglet::server
