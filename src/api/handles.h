// What the opaque handles of the C interface hold.
#pragma once

#include <kinglet/kinglet.h>

#include <memory>
#include <optional>
#include <string>

#include "engine/chat_session.h"
#include "engine/model.h"
#include "engine/session.h"
#include "host/ledger.h"

namespace kinglet::api {

/// An open model. Sessions share it, so that closing the handle first does no harm.
struct OpenModel {
  Ledger ledger;  ///< before the model: it outlives it
  std::unique_ptr<Model> model;
  const Tokenizer* tokenizer = nullptr;  ///< null where the model has none that can be used; then:
  Status tokenizer_status;               ///< why
  std::string architecture;
  uint64_t parameters = 0;
  int threads = 0;

  explicit OpenModel(uint64_t memory_limit) : ledger(memory_limit) {}
};

}  // namespace kinglet::api

struct kinglet_model {
  std::shared_ptr<kinglet::api::OpenModel> open;
};

struct kinglet_session {
  kinglet_session(std::shared_ptr<kinglet::api::OpenModel> model, std::unique_ptr<kinglet::Runner> with)
      : open(std::move(model)), runner(std::move(with)), session(*runner) {}

  std::shared_ptr<kinglet::api::OpenModel> open;  ///< before what stands on it
  std::unique_ptr<kinglet::Runner> runner;
  kinglet::Session session;
  std::string system;                        ///< what set_system said before the first message
  std::optional<kinglet::ChatSession> chat;  ///< over `session`; made for the first message
};
