#include "tokenizer/wordpiece.h"

#include "tokenizer/trie.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

class WordPiece final : public WordModel {
 public:
  WordPiece(const Vocabulary& vocabulary, WordPieceOptions options) : options_(options) {
    std::vector<Trie::Entry> starts, continues;
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (!vocabulary.is_plain(id)) continue;
      const std::string_view text = vocabulary.text(id);
      // The longer of the two marks decides; the other is empty or different in its first byte.
      const bool marked =
          options.start_mark.empty() ? !text.starts_with(options.continue_mark) : text.starts_with(options.start_mark);
      if (marked) {
        starts.push_back({text.substr(options.start_mark.size()), id});
      } else {
        continues.push_back({text.substr(options.continue_mark.size()), id});
      }
    }
    starts_ = Trie(std::move(starts));
    continues_ = Trie(std::move(continues));
  }

  void encode(std::string_view word, EncodeScratch&, std::vector<TokenId>& out) const override {
    const size_t before = out.size();
    if (fits(word) && spell(word, out)) return;
    out.resize(before);
    if (options_.unknown >= 0) out.push_back(options_.unknown);
  }

 private:
  bool fits(std::string_view word) const {
    if (options_.max_word_chars == 0 || word.size() <= options_.max_word_chars) return true;
    size_t chars = 0;
    for (size_t pos = 0; pos < word.size(); ++chars) next_utf8(word, pos);
    return chars <= options_.max_word_chars;
  }

  bool spell(std::string_view word, std::vector<TokenId>& out) const {
    for (size_t begin = 0; begin < word.size();) {
      const Trie& trie = begin == 0 ? starts_ : continues_;
      TokenId best = -1;
      size_t best_end = begin;
      uint32_t node = Trie::kRoot;
      for (size_t end = begin; end < word.size();) {
        node = trie.child(node, static_cast<uint8_t>(word[end++]));
        if (node == Trie::kNoChild) break;
        if (trie.value(node) >= 0) best = trie.value(node), best_end = end;
      }
      if (best < 0) return false;
      out.push_back(best);
      begin = best_end;
    }
    return true;
  }

  WordPieceOptions options_;
  Trie starts_, continues_;
};

}  // namespace

std::unique_ptr<WordModel> make_wordpiece(const Vocabulary& vocabulary, WordPieceOptions options) {
  return std::make_unique<WordPiece>(vocabulary, options);
}

}  // namespace kinglet
