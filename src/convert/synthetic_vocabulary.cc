#include "convert/synthetic_vocabulary.h"

#include <fmt/format.h>

#include <string>

#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary.h"

namespace kinglet::convert {
namespace {

constexpr std::string_view kLetters = "etaoinshrdlucmfwypvbgkqjxz";  // by frequency, so that common pairs come first

/// Fills the ids that no special token has, in order.
class Filler {
 public:
  Filler(TokenizerData& data, int64_t vocabulary) : data_(data) {
    const size_t n = static_cast<size_t>(vocabulary);
    data_.tokens.resize(n);
    data_.types.resize(n, static_cast<int32_t>(TokenType::unused));
    if (data_.model == "llama") data_.scores.resize(n, 0.0f);
  }

  /// A control token whose text matters: llama.cpp looks Phi-3's up by theirs.
  void name(size_t i, std::string text) {
    if (i < data_.tokens.size()) put(i, std::move(text), TokenType::control, 0.0f);
  }

  void special(const std::string& role, int64_t id) {
    if (id < 0 || static_cast<size_t>(id) >= data_.tokens.size()) return;
    const size_t i = static_cast<size_t>(id);
    if (data_.tokens[i].empty()) {
      const bool unknown = role == "unknown" && data_.model == "llama";
      put(i, fmt::format("<|{}|>", role), unknown ? TokenType::unknown : TokenType::control, 0.0f);
    }
    data_.set_special(role, id);
  }

  bool full() {
    while (next_ < data_.tokens.size() && !data_.tokens[next_].empty()) ++next_;
    return next_ == data_.tokens.size();
  }
  void add(std::string text, TokenType type, float score) {
    if (!full()) put(next_, std::move(text), type, score);
  }

 private:
  void put(size_t i, std::string text, TokenType type, float score) {
    data_.tokens[i] = std::move(text);
    data_.types[i] = static_cast<int32_t>(type);
    if (!data_.scores.empty()) data_.scores[i] = score;
  }

  TokenizerData& data_;
  size_t next_ = 0;
};

/// Pieces of growing length, each a shorter piece and one letter, words' beginnings among them; until the ids are used up.
void add_pieces(TokenizerData& data, Filler& filler, std::string_view space_mark, bool add_singles) {
  std::vector<std::string> pieces{std::string(space_mark)};
  for (const char letter : kLetters) pieces.emplace_back(1, letter);
  float score = 0;
  if (add_singles)
    for (const std::string& piece : pieces) filler.add(piece, TokenType::normal, score -= 1);
  while (true) {
    std::vector<std::string> longer;
    for (const std::string& piece : pieces) {
      for (const char letter : kLetters) {
        if (filler.full()) return;
        longer.push_back(piece + letter);
        filler.add(longer.back(), TokenType::normal, score -= 1);
        if (data.model == "gpt2") data.merges.push_back(piece + " " + letter);
      }
    }
    pieces = std::move(longer);
  }
}

}  // namespace

TokenizerData synthetic_vocabulary(const Preset& preset, int64_t vocabulary) {
  TokenizerData data;
  data.model = preset.tokenizer.value("model", "llama");
  data.pre = preset.tokenizer.value("pre", "default");
  if (preset.tokenizer.contains("add_space_prefix"))
    data.add_space_prefix = preset.tokenizer["add_space_prefix"].get<bool>();
  Filler filler(data, vocabulary);
  if (const auto names = preset.tokenizer.find("names"); names != preset.tokenizer.end())
    for (const auto& [id, text] : names->items()) filler.name(std::stoul(id), text.get<std::string>());
  for (const auto& [role, id] : preset.tokenizer["special"].items()) filler.special(role, id.get<int64_t>());
  data.set_add("bos", preset.tokenizer.value("add_bos", false));
  if (data.model == "gpt2") {
    for (int b = 0; b < 256; ++b)
      filler.add(encode_byte_level(std::string(1, static_cast<char>(b))), TokenType::normal, 0);
    add_pieces(data, filler, encode_byte_level(" "), false);
  } else {
    for (int b = 0; b < 256; ++b) filler.add(fmt::format("<0x{:02X}>", b), TokenType::byte, 0);
    add_pieces(data, filler, kSpaceMark, true);
  }
  return data;
}

}  // namespace kinglet::convert
