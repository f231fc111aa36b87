#include "tokenizer/charsmap.h"

#include "host/error.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/trie.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

// A unit of the double array (Yata et al., as in darts-clone): bits 0-7 and 31 the label, bit 8 whether a value hangs
// below, bits 10-30 the offset to the children, shifted by eight more where bit 9 is set. A value is the low 31 bits.
uint32_t unit_offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
uint32_t unit_label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
bool has_value(uint32_t unit) { return (unit >> 8 & 1) != 0; }

uint32_t read_u32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view blob) {
  Charsmap map;
  if (blob.empty()) return map;
  if (blob.size() < 4) return Status(Code::corrupt, "precompiled charsmap: no size");
  const size_t array = read_u32(blob, 0);
  if (array % 4 != 0 || array > blob.size() - 4) {
    return error(Code::corrupt, "precompiled charsmap: an array of {} bytes in {}", array, blob.size());
  }
  map.units_.resize(array / 4);
  for (size_t i = 0; i < map.units_.size(); ++i) map.units_[i] = read_u32(blob, 4 + 4 * i);
  map.replacements_ = blob.substr(4 + array);
  if (!map.replacements_.empty() && map.replacements_.back() != '\0') map.replacements_.push_back('\0');
  return map;
}

Charsmap::Match Charsmap::match(std::string_view text) const {
  Match best;
  if (units_.empty()) return best;
  uint32_t node = unit_offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || unit_label(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= unit_offset(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size()) break;
    const uint32_t value = units_[node] & 0x7FFFFFFF;
    if (value >= replacements_.size()) break;
    best = {replacements_.c_str() + value, i + 1};  // a NUL ends every replacement, the last one by parse()
  }
  return best;
}

namespace {

/// What the normalizer makes of the character at the start of `text`.
struct Step {
  std::string_view output;
  size_t consumed;
};

Step next_step(const Charsmap& map, std::string_view text) {
  if (const Charsmap::Match match = map.match(text); match.consumed > 0) return {match.replacement, match.consumed};
  const Utf8Char c = decode_utf8(text.data(), text.data() + text.size());
  if (!c.valid) return {kReplacementCharacter, 1};
  return {text.substr(0, c.size), c.size};
}

class CharsmapNormalizer final : public Normalizer {
 public:
  explicit CharsmapNormalizer(Charsmap map) : map_(std::move(map)) {}
  bool apply(std::string_view text, std::string& out) const override {
    out.reserve(text.size());
    while (!text.empty()) {
      const Step step = next_step(map_, text);
      out += step.output;
      text.remove_prefix(step.consumed);
    }
    return true;
  }

 private:
  Charsmap map_;
};

class SentencePieceNormalizer final : public Normalizer {
 public:
  SentencePieceNormalizer(Charsmap map, SentencePieceNormalizerOptions options)
      : map_(std::move(map)), options_(std::move(options)) {
    std::vector<Trie::Entry> kept;
    for (const std::string& text : options_.keep) kept.push_back({text, 0});
    keep_ = Trie(std::move(kept));
  }

  bool apply(std::string_view text, std::string& out) const override {
    const std::string_view space = options_.escape_spaces ? kSpaceMark : std::string_view(" ");
    out.reserve(text.size() + text.size() / 2 + space.size());
    if (options_.add_prefix && !options_.remove_extra_spaces && !text.empty()) out += space;
    bool in_word = false, any_word = false;
    while (!text.empty()) {
      const size_t kept = keep(text);
      const Step step = kept > 0 ? Step{text.substr(0, kept), kept} : next_step(map_, text);
      for (const char c : step.output) {
        if (c == ' ') {
          in_word = false;
          if (!options_.remove_extra_spaces) out += space;
          continue;
        }
        // Runs of spaces become the one mark before the next word; the first word has one only if the model wants it.
        if (!in_word && options_.remove_extra_spaces && (any_word || options_.add_prefix)) out += space;
        in_word = any_word = true;
        out.push_back(c);
      }
      text.remove_prefix(step.consumed);
    }
    return true;
  }

 private:
  size_t keep(std::string_view text) const {
    size_t longest = 0;
    uint32_t node = Trie::kRoot;
    for (size_t i = 0; i < text.size(); ++i) {
      node = keep_.child(node, static_cast<uint8_t>(text[i]));
      if (node == Trie::kNoChild) break;
      if (keep_.value(node) >= 0) longest = i + 1;
    }
    return longest;
  }

  Charsmap map_;
  SentencePieceNormalizerOptions options_;
  Trie keep_;
};

}  // namespace

Result<std::unique_ptr<Normalizer>> make_charsmap_normalizer(std::string charsmap) {
  KL_ASSIGN(Charsmap map, Charsmap::parse(charsmap));
  return std::unique_ptr<Normalizer>(std::make_unique<CharsmapNormalizer>(std::move(map)));
}

Result<std::unique_ptr<Normalizer>> make_sentencepiece_normalizer(SentencePieceNormalizerOptions options) {
  KL_ASSIGN(Charsmap map, Charsmap::parse(options.charsmap));
  return std::unique_ptr<Normalizer>(std::make_unique<SentencePieceNormalizer>(std::move(map), std::move(options)));
}

}  // namespace kinglet
