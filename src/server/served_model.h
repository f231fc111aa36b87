// A model that answers requests.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/grammar_pool.h"
#include "engine/scheduler.h"
#include "server/chat_family.h"
#include "tokenizer/chat_format.h"

namespace kinglet::server {

/// Model and tokenizer must outlive it.
struct ServedModel {
  std::string name;
  std::unique_ptr<Runner> runner;
  const Tokenizer* tokenizer = nullptr;
  std::optional<ChatFormat> chat;  ///< absent: the model has no template
  std::unique_ptr<Scheduler> scheduler;
  std::vector<std::string> adapters{};  ///< of Model::choices(); requests choose them as "name:adapter"
  // What the template says of how it writes calls and thinking (find_family).
  const ChatFamily* family = &chat_families().back();
  std::vector<TokenId> visible{};               ///< control tokens among the family's markers
  uint64_t grammar_bytes = uint64_t{64} << 20;  ///< most that compiled grammars may take
  std::unique_ptr<GrammarPool> grammars{};
  std::function<std::unique_ptr<Drafter>()>
      drafter{};  ///< makes who guesses an answer's tokens; none: nothing is guessed
};

/// What a request names.
struct ChosenModel {
  ServedModel* model = nullptr;
  int32_t adapter = kNone;  ///< index into its adapters
  std::string name;         ///< in full
};

/// "name", or "name:adapter".
std::string full_name(const ServedModel& model, int32_t adapter);

/// Fills in what follows from the chat template: family, visible and grammars.
void find_family(ServedModel& model);

}  // namespace kinglet::server
