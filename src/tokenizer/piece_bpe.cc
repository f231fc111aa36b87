#include "tokenizer/piece_bpe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "tokenizer/segments.h"

namespace kinglet {

namespace {

/// Greater scores come first; what is no number comes last.
uint32_t rank_of_score(float score) {
  if (std::isnan(score)) return PairMerge::kNone - 1;
  const auto bits = std::bit_cast<uint32_t>(score == 0 ? 0.0f : score);
  const uint32_t ascending = bits >> 31 ? ~bits : bits | 0x80000000u;
  return std::min(~ascending, PairMerge::kNone - 1);
}

struct ScoreRules {
  const Vocabulary* vocabulary;
  uint32_t longest;
  PairMerge pair(std::string_view word, const MergeSymbol& left, const MergeSymbol& right) const {
    const uint32_t size = left.size + right.size;
    if (size > longest) return {};
    const TokenId id = vocabulary->find(word.substr(left.begin, size));
    if (id < 0 || !vocabulary->is_plain(id)) return {};
    return {rank_of_score(vocabulary->score(id)), id};
  }
};

struct ListRules {
  const MergeTable* merges;
  PairMerge pair(std::string_view, const MergeSymbol& left, const MergeSymbol& right) const {
    return left.id < 0 || right.id < 0 ? PairMerge{} : merges->find(left.id, right.id);
  }
};

class PieceBpe final : public WordModel {
 public:
  PieceBpe(const Vocabulary& vocabulary, std::optional<MergeTable> merges, PieceBpeOptions options)
      : vocabulary_(vocabulary), merges_(std::move(merges)), options_(options) {
    if (options_.byte_fallback) bytes_ = ByteTokens::find(vocabulary);
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (!vocabulary.is_plain(id)) continue;
      const std::string_view text = vocabulary.text(id);
      longest_ = std::max(longest_, static_cast<uint32_t>(text.size()));
      joins_.add_token(text);
    }
    if (merges_) merges_->for_each_extra([this](std::string_view text) { joins_.add_token(text); });
    for (size_t c = 0; c < ascii_.size(); ++c) {
      const char text = static_cast<char>(c);
      ascii_[c] = find_symbol({&text, 1});
    }
  }

  void encode(std::string_view text, EncodeScratch& scratch, std::vector<TokenId>& out) const override {
    if (options_.ignore_merges) {
      if (const TokenId id = vocabulary_.find(text); id >= 0 && vocabulary_.is_plain(id)) return out.push_back(id);
    }
    const size_t before = out.size();
    for_each_segment(text, joins_, [&](std::string_view word) { encode_word(word, scratch, out); });
    if (options_.fuse_unknown && options_.unknown >= 0) {
      const auto first = out.begin() + static_cast<std::ptrdiff_t>(before);
      out.erase(std::unique(first, out.end(),
                            [this](TokenId a, TokenId b) { return a == options_.unknown && b == options_.unknown; }),
                out.end());
    }
  }

 private:
  void encode_word(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const {
    scratch.cache.encode(word, out, [&] { merge(word, scratch, out); });
  }

  void merge(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const {
    auto& symbols = scratch.symbols;
    symbols.clear();
    for (size_t pos = 0; pos < word.size();) {
      const size_t begin = pos;
      const Utf8Char c = next_utf8(word, pos);
      const int32_t id = c.valid && c.code < ascii_.size() ? ascii_[c.code] : find_symbol(word.substr(begin, c.size));
      symbols.push_back({static_cast<uint32_t>(begin), c.size, id});
    }
    if (merges_) {
      merge_symbols(word, ListRules{&*merges_}, scratch);
    } else {
      merge_symbols(word, ScoreRules{&vocabulary_, longest_}, scratch);
    }
    for (const MergeSymbol& symbol : symbols) emit(symbol.id, word.substr(symbol.begin, symbol.size), out);
  }

  int32_t find_symbol(std::string_view text) const {
    const TokenId id = vocabulary_.find(text);
    if (id >= 0 && vocabulary_.is_plain(id)) return id;
    return merges_ ? merges_->find_extra(text) : -1;
  }

  void emit(int32_t symbol, std::string_view text, std::vector<TokenId>& out) const {
    if (vocabulary_.contains(symbol)) return out.push_back(symbol);
    const auto has_byte = [this](char c) { return bytes_.id[static_cast<uint8_t>(c)] >= 0; };
    if (options_.byte_fallback && std::all_of(text.begin(), text.end(), has_byte)) {
      for (const char c : text) out.push_back(bytes_.id[static_cast<uint8_t>(c)]);
    } else if (options_.unknown >= 0) {
      out.push_back(options_.unknown);
    }
  }

  const Vocabulary& vocabulary_;
  std::optional<MergeTable> merges_;
  PieceBpeOptions options_;
  ByteTokens bytes_;
  JoinFilter joins_;
  std::array<int32_t, 128> ascii_{};
  uint32_t longest_ = 0;
};

}  // namespace

std::unique_ptr<WordModel> make_piece_bpe(const Vocabulary& vocabulary, std::optional<MergeTable> merges,
                                          PieceBpeOptions options) {
  return std::make_unique<PieceBpe>(vocabulary, std::move(merges), options);
}

}  // namespace kinglet
