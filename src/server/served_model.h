// A model that answers requests.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "server/chat_family.h"
#include "tokenizer/chat_format.h"

namespace kinglet::server {

/// The vocabulary for constrained answers, made for the first of them.
class TextTokens {
 public:
  std::shared_ptr<const grammar::TokenTrie> get(const Tokenizer& tokenizer, const std::vector<TokenId>& visible) {
    const std::lock_guard lock(mutex_);
    if (trie_ == nullptr) trie_ = text_tokens(tokenizer, visible);
    return trie_;
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<const grammar::TokenTrie> trie_;
};

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
  std::vector<TokenId> visible{};  ///< control tokens among the family's markers
  std::unique_ptr<TextTokens> text_tokens = std::make_unique<TextTokens>();
};

/// What a request names.
struct ChosenModel {
  ServedModel* model = nullptr;
  int32_t adapter = kNone;  ///< index into its adapters
  std::string name;         ///< in full
};

/// "name", or "name:adapter".
std::string full_name(const ServedModel& model, int32_t adapter);

/// Fills in what follows from the chat template.
void find_family(ServedModel& model);

}  // namespace kinglet::server
