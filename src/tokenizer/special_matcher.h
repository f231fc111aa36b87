// Finds the added tokens of a model in a text: those that users may write (user-defined) always, control tokens only
// where the caller asks for them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/function_ref.h"
#include "tokenizer/token.h"
#include "tokenizer/trie.h"

namespace kinglet {

struct SpecialToken {
  TokenId id = -1;
  bool control = false;      ///< only with SpecialTokens::parse
  bool strip_left = false;   ///< eats the white space before it
  bool strip_right = false;  ///< and after it
  bool whole_word = false;   ///< not between word characters
};

class SpecialMatcher {
 public:
  struct Entry {
    std::string_view text;
    SpecialToken token;
  };
  SpecialMatcher() = default;
  explicit SpecialMatcher(const std::vector<Entry>& entries);

  /// Parts `text`, leftmost and then longest match first. on_text(text, at_start) gets what lies between, never empty;
  /// at_start says that nothing lies before it. No control token is taken across one of `seams`, ascending offsets.
  void partition(std::string_view text, SpecialTokens mode, std::span<const size_t> seams,
                 FunctionRef<void(std::string_view, bool)> on_text, FunctionRef<void(TokenId)> on_token) const;

  /// Offsets at which the text of a control token begins, whatever stands around it.
  std::vector<size_t> control_places(std::string_view text) const;

 private:
  /// `control_end` is where a control token must have ended.
  const SpecialToken* match(std::string_view text, size_t at, SpecialTokens mode, size_t control_end,
                            size_t& size) const;

  std::vector<SpecialToken> tokens_;
  Trie all_, user_;
};

}  // namespace kinglet
