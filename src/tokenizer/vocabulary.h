// The tokens of a model: their texts, scores and kinds, and the way from a text to its id.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/token.h"

namespace kinglet {

/// Many strings in one allocation.
class TextTable {
 public:
  void reserve(size_t count, size_t bytes) { ends_.reserve(count), bytes_.reserve(bytes); }
  void add(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
  std::string_view operator[](size_t i) const {
    const uint32_t begin = i == 0 ? 0 : ends_[i - 1];
    return {bytes_.data() + begin, ends_[i] - begin};
  }
  size_t size() const { return ends_.size(); }
  size_t bytes() const { return bytes_.size(); }

 private:
  std::string bytes_;
  std::vector<uint32_t> ends_;
};

/// From a text to its place in a TextTable: open addressing, a tag beside each index so that a miss rarely leaves the
/// slot. The table must not move or change while the index is in use (the index holds no pointer: it is handed in).
class TextIndex {
 public:
  void reserve(size_t count);
  /// Adds entry `i` of `table`; an equal text that came before stays the one that is found.
  void add(const TextTable& table, size_t i);
  /// -1 where there is none.
  int32_t find(const TextTable& table, std::string_view text) const;

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t index = -1;
  };
  std::vector<Slot> slots_;
  size_t used_ = 0;
  void grow(const TextTable& table, size_t capacity);
};

/// The numbers are those of tokenizer.ggml.token_type and of SentencePiece's Type.
enum class TokenKind : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

class Vocabulary {
 public:
  static constexpr size_t kMaxTokens = size_t{1} << 24;
  static constexpr size_t kMaxTokenBytes = size_t{1} << 16;
  static constexpr size_t kMaxBytes = size_t{1} << 30;

  void reserve(size_t count, size_t bytes);
  /// Errors (corrupt): too many tokens, a token too long.
  Status add(std::string_view text, float score, TokenKind kind);

  int32_t size() const { return static_cast<int32_t>(texts_.size()); }
  bool contains(TokenId id) const { return id >= 0 && id < size(); }
  std::string_view text(TokenId id) const { return texts_[static_cast<size_t>(id)]; }
  float score(TokenId id) const { return scores_[static_cast<size_t>(id)]; }
  TokenKind kind(TokenId id) const { return kinds_[static_cast<size_t>(id)]; }
  void set_kind(TokenId id, TokenKind kind) { kinds_[static_cast<size_t>(id)] = kind; }
  /// The first token spelled so, of any kind; -1 where there is none.
  TokenId find(std::string_view text) const { return index_.find(texts_, text); }
  const TextTable& texts() const { return texts_; }

  /// A token that plain text can become: normal, user-defined or unused. Control, unknown and byte tokens are not
  /// spelled by text (as in SentencePiece), whatever the merges of a file say.
  bool is_plain(TokenId id) const {
    const TokenKind k = kind(id);
    return k == TokenKind::normal || k == TokenKind::user_defined || k == TokenKind::unused;
  }

 private:
  TextTable texts_;
  TextIndex index_;
  std::vector<float> scores_;
  std::vector<TokenKind> kinds_;
};

/// The byte that a token text like <0x0A> names.
std::optional<uint8_t> byte_of_token_text(std::string_view text);

/// The tokens spelled <0x00> to <0xFF>, for text that no other token covers.
struct ByteTokens {
  std::array<TokenId, 256> id = [] {
    std::array<TokenId, 256> none;
    none.fill(-1);
    return none;
  }();
  bool complete = false;  ///< all 256 are there
  static ByteTokens find(const Vocabulary& vocabulary);
};

/// GPT-2's spelling of bytes as printable characters: the character of each byte, and the way back.
char32_t byte_level_char(uint8_t byte);
/// The bytes that `text` spells; nothing where a character stands for no byte.
std::optional<std::string> decode_byte_level(std::string_view text);
std::string encode_byte_level(std::string_view bytes);

}  // namespace kinglet
