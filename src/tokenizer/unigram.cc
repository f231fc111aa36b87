#include "tokenizer/unigram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tokenizer/segments.h"
#include "tokenizer/trie.h"

namespace kinglet {
namespace {

constexpr double kUnknownPenalty = 10.0;  // below the least score, as SentencePiece has it
constexpr TokenId kUnknownMark = -1;

class Unigram final : public WordModel {
 public:
  Unigram(const Vocabulary& vocabulary, UnigramOptions options) : options_(options) {
    if (options_.byte_fallback) bytes_ = ByteTokens::find(vocabulary);
    double least = std::numeric_limits<float>::max();
    std::vector<Trie::Entry> entries;
    entries.reserve(static_cast<size_t>(vocabulary.size()));
    scores_.resize(static_cast<size_t>(vocabulary.size()));
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (!vocabulary.is_plain(id)) continue;
      const float score = vocabulary.score(id);
      // User-defined tokens weigh nothing, so that they win over any spelling with normal ones.
      scores_[static_cast<size_t>(id)] =
          vocabulary.kind(id) == TokenKind::user_defined || !std::isfinite(score) ? 0 : score;
      if (vocabulary.kind(id) == TokenKind::normal && std::isfinite(score)) least = std::min<double>(least, score);
      joins_.add_token(vocabulary.text(id));
      entries.push_back({vocabulary.text(id), id});
    }
    unknown_score_ = least - kUnknownPenalty;
    trie_ = Trie(std::move(entries));
  }

  void encode(std::string_view text, EncodeScratch& scratch, std::vector<TokenId>& out) const override {
    const auto before = static_cast<std::ptrdiff_t>(out.size());
    // Sums grow from zero in each segment: a path crosses every cut, so its parts are best on their own.
    for_each_segment(text, joins_, [&](std::string_view word) { encode_word(word, scratch, out); });
    if (options_.unknown < 0) return;
    out.erase(std::unique(out.begin() + before, out.end(),
                          [this](TokenId a, TokenId b) { return a == options_.unknown && b == options_.unknown; }),
              out.end());
  }

 private:
  void encode_word(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const {
    scratch.cache.encode(word, out, [&] { search(word, scratch, out); });
  }

  void search(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const {
    auto& path = scratch.path;
    path.assign(word.size() + 1, {-std::numeric_limits<double>::infinity(), kUnknownMark, 0});
    path[0].score = 0;
    for (size_t begin = 0; begin < word.size();) {
      const size_t next = begin + decode_utf8(word.data() + begin, word.data() + word.size()).size;
      const double here = path[begin].score;
      bool covers_char = false;
      uint32_t node = Trie::kRoot;
      for (size_t end = begin; end < word.size();) {
        node = trie_.child(node, static_cast<uint8_t>(word[end++]));
        if (node == Trie::kNoChild) break;
        const int32_t id = trie_.value(node);
        if (id < 0) continue;
        covers_char = covers_char || end == next;
        const double score = here + scores_[static_cast<size_t>(id)];
        if (score > path[end].score) path[end] = {score, id, static_cast<uint32_t>(begin)};
      }
      if (!covers_char && here + unknown_score_ > path[next].score) {
        path[next] = {here + unknown_score_, kUnknownMark, static_cast<uint32_t>(begin)};
      }
      begin = next;
    }
    backtrack(word, scratch, out);
  }

  void backtrack(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const {
    auto& steps = scratch.ids;
    steps.clear();
    for (size_t end = word.size(); end > 0; end = scratch.path[end].begin) steps.push_back(static_cast<TokenId>(end));
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      const PathNode& node = scratch.path[static_cast<size_t>(*step)];
      if (node.id != kUnknownMark) {
        out.push_back(node.id);
      } else if (options_.byte_fallback && bytes_.complete) {
        for (size_t i = node.begin; i < static_cast<size_t>(*step); ++i) {
          out.push_back(bytes_.id[static_cast<uint8_t>(word[i])]);
        }
      } else if (options_.unknown >= 0) {
        out.push_back(options_.unknown);
      }
    }
  }

  UnigramOptions options_;
  ByteTokens bytes_;
  JoinFilter joins_;
  Trie trie_;
  std::vector<float> scores_;
  double unknown_score_ = 0;
};

}  // namespace

std::unique_ptr<WordModel> make_unigram(const Vocabulary& vocabulary, UnigramOptions options) {
  return std::make_unique<Unigram>(vocabulary, options);
}

}  // namespace kinglet
