// What the opaque handles of the C interface hold.
#pragma once

#include <kinglet/kinglet.h>

#include <memory>
#include <string>

#include "engine/model.h"
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
