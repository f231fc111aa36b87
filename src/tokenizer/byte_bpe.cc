#include "tokenizer/byte_bpe.h"

#include <array>

#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

struct PairRules {
  const MergeTable* merges;
  PairMerge pair(std::string_view, const MergeSymbol& left, const MergeSymbol& right) const {
    return merges->find(left.id, right.id);
  }
};

class ByteBpe final : public WordModel {
 public:
  ByteBpe(const Vocabulary& vocabulary, const TextTable& pieces, MergeTable merges, ByteBpeOptions options)
      : vocabulary_(vocabulary), pieces_(pieces), merges_(std::move(merges)), options_(options) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text;
      append_utf8(byte_level_char(static_cast<uint8_t>(byte)), text);
      TokenId id = vocabulary.find(text);
      if (id >= 0 && !vocabulary.is_plain(id)) id = -1;
      bytes_[static_cast<size_t>(byte)] = id >= 0 ? id : merges_.find_extra(text);
    }
    if (!options_.ignore_merges) return;
    whole_.reserve(static_cast<size_t>(vocabulary.size()));
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (vocabulary.is_plain(id)) whole_.add(pieces_, static_cast<size_t>(id));
    }
  }

  void encode(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const override {
    if (word.size() == 1) return emit(bytes_[static_cast<uint8_t>(word[0])], word, out);
    scratch.cache.encode(word, out, [&] { merge(word, scratch, out); });
  }

 private:
  void merge(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const {
    if (options_.ignore_merges) {
      if (const int32_t id = whole_.find(pieces_, word); id >= 0) return out.push_back(id);
    }
    scratch.symbols.resize(word.size());
    for (size_t i = 0; i < word.size(); ++i) {
      scratch.symbols[i] = {static_cast<uint32_t>(i), 1, bytes_[static_cast<uint8_t>(word[i])]};
    }
    merge_symbols(word, PairRules{&merges_}, scratch);
    for (const MergeSymbol& symbol : scratch.symbols) emit(symbol.id, word.substr(symbol.begin, symbol.size), out);
  }

  void emit(int32_t symbol, std::string_view bytes, std::vector<TokenId>& out) const {
    if (vocabulary_.contains(symbol)) return out.push_back(symbol);
    for (const char c : bytes) {
      const int32_t id = bytes_[static_cast<uint8_t>(c)];
      if (vocabulary_.contains(id)) {
        out.push_back(id);
      } else if (options_.unknown >= 0) {
        out.push_back(options_.unknown);
      }
    }
  }

  const Vocabulary& vocabulary_;
  const TextTable& pieces_;
  MergeTable merges_;
  ByteBpeOptions options_;
  TextIndex whole_;
  std::array<int32_t, 256> bytes_{};
};

}  // namespace

std::unique_ptr<WordModel> make_byte_bpe(const Vocabulary& vocabulary, const TextTable& pieces, MergeTable merges,
                                         ByteBpeOptions options) {
  return std::make_unique<ByteBpe>(vocabulary, pieces, std::move(merges), options);
}

}  // namespace kinglet
