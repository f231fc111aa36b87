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

struct ServedModel {
  std::unique_ptr<Model> model;  ///< all below lives on it
  std::string name;
  std::unique_ptr<Runner> runner;
  const Tokenizer* tokenizer = nullptr;  ///< the model's
  std::optional<ChatFormat> chat;        ///< absent: the model has no template
  std::unique_ptr<Scheduler> scheduler;
  std::vector<std::string> adapters{};  ///< of Model::choices(); requests choose them as "name:adapter"
  // What the template says of how it writes calls and thinking (find_family).
  const ChatFamily* family = &chat_families().back();
  std::vector<TokenId> visible{};               ///< control tokens among the family's markers
  uint64_t grammar_bytes = uint64_t{64} << 20;  ///< most that compiled grammars may take
  std::unique_ptr<GrammarPool> grammars{};
  /// Makes who guesses an answer's tokens; none: nothing is guessed.
  std::function<std::unique_ptr<Drafter>()> drafter{};
};

/// What is told of a model, in memory or not.
struct ModelFacts {
  int64_t context = 0;  ///< 0: it has never been in memory, and nothing is known
  int64_t width = 0, layers = 0, parameters = 0;
  uint64_t weight_bytes = 0;
  bool gguf = false;
  std::string family;  ///< of architectures
  std::optional<std::string> chat_template;
};

ModelFacts facts_of(const ServedModel& model);

/// What a request names. The model stays in memory for as long as this, or a copy of its pointer, lives.
struct ChosenModel {
  std::shared_ptr<ServedModel> model;
  int32_t adapter = kNone;  ///< index into its adapters
  std::string name;         ///< in full: "name", or "name:adapter"
};

/// Fills in what follows from the chat template: family, visible and grammars.
void find_family(ServedModel& model);

}  // namespace kinglet::server
