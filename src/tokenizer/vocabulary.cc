#include "tokenizer/vocabulary.h"

#include <array>
#include <bit>

#include "host/error.h"
#include "tokenizer/hash.h"
#include "tokenizer/utf8.h"

namespace kinglet {

void TextIndex::reserve(size_t count) {
  const size_t capacity = std::bit_ceil(count + count / 2 + 16);
  if (capacity > slots_.size() && used_ == 0) slots_.assign(capacity, Slot{});
}

void TextIndex::grow(const TextTable& table, size_t capacity) {
  std::vector<Slot> old(capacity);
  old.swap(slots_);
  const size_t mask = capacity - 1;
  for (const Slot& slot : old) {
    if (slot.index < 0) continue;
    size_t at = hash_bytes(table[static_cast<size_t>(slot.index)]) & mask;
    while (slots_[at].index >= 0) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

void TextIndex::add(const TextTable& table, size_t i) {
  if ((used_ + 1) * 4 > slots_.size() * 3) grow(table, std::max<size_t>(64, slots_.size() * 2));
  const std::string_view text = table[i];
  const uint64_t hash = hash_bytes(text);
  const auto tag = static_cast<uint32_t>(hash >> 32);
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  for (; slots_[at].index >= 0; at = (at + 1) & mask) {
    if (slots_[at].tag == tag && table[static_cast<size_t>(slots_[at].index)] == text) return;
  }
  slots_[at] = {tag, static_cast<int32_t>(i)};
  ++used_;
}

int32_t TextIndex::find(const TextTable& table, std::string_view text) const {
  if (slots_.empty()) return -1;
  const uint64_t hash = hash_bytes(text);
  const auto tag = static_cast<uint32_t>(hash >> 32);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].index >= 0; at = (at + 1) & mask) {
    if (slots_[at].tag == tag && table[static_cast<size_t>(slots_[at].index)] == text) return slots_[at].index;
  }
  return -1;
}

void Vocabulary::reserve(size_t count, size_t bytes) {
  texts_.reserve(count, bytes);
  index_.reserve(count);
  scores_.reserve(count);
  kinds_.reserve(count);
}

Status Vocabulary::add(std::string_view text, float score, TokenKind kind) {
  if (texts_.size() >= kMaxTokens) return error(Code::corrupt, "the vocabulary has more than {} tokens", kMaxTokens);
  if (text.size() > kMaxTokenBytes) {
    return error(Code::corrupt, "token {} is {} bytes long; at most {} are allowed", texts_.size(), text.size(),
                 kMaxTokenBytes);
  }
  if (texts_.bytes() + text.size() > kMaxBytes) {
    return error(Code::corrupt, "the vocabulary's texts are longer than {} bytes", kMaxBytes);
  }
  texts_.add(text);
  scores_.push_back(score);
  kinds_.push_back(kind);
  index_.add(texts_, texts_.size() - 1);
  return ok_status();
}

std::optional<uint8_t> byte_of_token_text(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  int value = 0;
  for (char c : text.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + digit;
  }
  return static_cast<uint8_t>(value);
}

ByteTokens ByteTokens::find(const Vocabulary& vocabulary) {
  ByteTokens bytes;
  bytes.complete = true;
  for (int byte = 0; byte < 256; ++byte) {
    constexpr char kHex[] = "0123456789ABCDEF";
    const char text[] = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    TokenId& id = bytes.id[static_cast<size_t>(byte)];
    id = vocabulary.find({text, sizeof text});
    bytes.complete = bytes.complete && id >= 0;
  }
  return bytes;
}

namespace {

constexpr bool prints_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct ByteLevelTable {
  std::array<uint16_t, 256> to_char{};
  std::array<int16_t, 512> to_byte{};
};

// Bytes that print stand for themselves; the others take the characters from U+0100 on, in order (GPT-2's encoder.py).
constexpr ByteLevelTable make_byte_level_table() {
  ByteLevelTable table;
  table.to_byte.fill(-1);
  uint16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const uint16_t code = prints_itself(byte) ? static_cast<uint16_t>(byte) : next++;
    table.to_char[static_cast<size_t>(byte)] = code;
    table.to_byte[code] = static_cast<int16_t>(byte);
  }
  return table;
}

constexpr ByteLevelTable kByteLevel = make_byte_level_table();

}  // namespace

char32_t byte_level_char(uint8_t byte) { return kByteLevel.to_char[byte]; }

std::optional<std::string> decode_byte_level(std::string_view text) {
  std::string bytes;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = next_utf8(text, pos);
    if (!c.valid || c.code >= kByteLevel.to_byte.size() || kByteLevel.to_byte[c.code] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kByteLevel.to_byte[c.code]));
  }
  return bytes;
}

std::string encode_byte_level(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) append_utf8(byte_level_char(static_cast<uint8_t>(c)), text);
  return text;
}

}  // namespace kinglet
