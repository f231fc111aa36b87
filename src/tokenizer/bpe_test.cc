// BPE against a reference that merges the plain way: look at every pair, merge the best, again.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tokenizer/byte_bpe.h"
#include "tokenizer/piece_bpe.h"
#include "tokenizer/word_testing.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

using Symbols = std::vector<std::string>;

/// Merges by the rank of (left, right) until none has one; the leftmost of equals first.
template <typename Rank>
Symbols merge_plainly(Symbols symbols, Rank rank) {
  while (true) {
    int64_t best = INT64_MAX;
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (const int64_t r = rank(symbols[i], symbols[i + 1]); r < best) best = r, at = i;
    }
    if (best == INT64_MAX) return symbols;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

std::string random_text(std::mt19937& random, size_t length, std::string_view alphabet) {
  std::string text;
  while (text.size() < length) text += alphabet[random() % alphabet.size()];
  return text;
}

/// A random byte-level model over `alphabet`.
struct RandomByteModel {
  Vocabulary vocabulary;
  TextTable pieces;
  std::map<std::pair<std::string, std::string>, int64_t> ranks;
  std::unique_ptr<WordModel> model;

  RandomByteModel(std::mt19937& random, std::string_view alphabet, int merges) {
    std::vector<std::string> texts;
    for (const char c : alphabet) texts.emplace_back(1, c);
    for (const auto& text : texts) EXPECT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
    std::vector<std::pair<std::string, std::string>> list;
    for (int i = 0; i < merges; ++i) {
      const std::string left = texts[random() % texts.size()], right = texts[random() % texts.size()];
      if (left.size() + right.size() > 12) continue;
      list.emplace_back(left, right);
      if (vocabulary.find(left + right) < 0) {
        texts.push_back(left + right);
        EXPECT_TRUE(vocabulary.add(left + right, 0, TokenKind::normal).ok());
      }
    }
    MergeTable table(vocabulary);
    for (const auto& [left, right] : list) {
      EXPECT_TRUE(table.add(left, right).ok());
      ranks.emplace(std::pair(left, right), static_cast<int64_t>(ranks.size()));
    }
    for (TokenId id = 0; id < vocabulary.size(); ++id) pieces.add(vocabulary.text(id));
    model = make_byte_bpe(vocabulary, pieces, std::move(table), {});
  }

  std::vector<TokenId> expected(std::string_view text) const {
    Symbols symbols;
    for (const char c : text) symbols.emplace_back(1, c);
    symbols = merge_plainly(symbols, [this](const std::string& left, const std::string& right) {
      const auto it = ranks.find({left, right});
      return it == ranks.end() ? INT64_MAX : it->second;
    });
    std::vector<TokenId> ids;
    for (const auto& symbol : symbols) ids.push_back(vocabulary.find(symbol));
    return ids;
  }
};

TEST(ByteBpe, MergesAsThePlainWayDoes) {
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    const RandomByteModel model(random, "abcd", 3 + static_cast<int>(random() % 40));
    for (const size_t length : {1u, 2u, 3u, 7u, 29u, 30u, 31u, 32u, 33u, 64u, 200u}) {
      const std::string text = random_text(random, length, "abcd");
      EXPECT_EQ(ids_of(*model.model, text), model.expected(text)) << text;
    }
  }
}

TEST(ByteBpe, AMegabyteOfOneLetterTakesNoSquareTime) {
  std::mt19937 random(5);
  Vocabulary vocabulary;
  TextTable pieces;
  std::string text = "a";
  for (int i = 0; i < 8; ++i, text += text) ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
  MergeTable table(vocabulary);
  for (TokenId id = 0; id + 1 < vocabulary.size(); ++id)
    ASSERT_TRUE(table.add(vocabulary.text(id), vocabulary.text(id)).ok());
  for (TokenId id = 0; id < vocabulary.size(); ++id) pieces.add(vocabulary.text(id));
  const auto model = make_byte_bpe(vocabulary, pieces, std::move(table), {});
  EncodeScratch scratch;
  std::vector<TokenId> ids;
  model->encode(std::string(size_t{1} << 20, 'a'), scratch, ids);
  EXPECT_EQ(ids, std::vector<TokenId>((size_t{1} << 20) / 128, 7));
}

TEST(ByteBpe, WordsThatAreTokensNeedNoMergesWhereTheModelSaysSo) {
  Vocabulary vocabulary;
  TextTable pieces;
  for (const char* text : {"a", "b", "c", "abc"}) {
    ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
    pieces.add(text);
  }
  const auto strict = make_byte_bpe(vocabulary, pieces, MergeTable(vocabulary), {});
  const auto loose = make_byte_bpe(vocabulary, pieces, MergeTable(vocabulary), {.ignore_merges = true});
  EXPECT_EQ(ids_of(*strict, "abc"), (std::vector<TokenId>{0, 1, 2}));
  EXPECT_EQ(ids_of(*loose, "abc"), (std::vector<TokenId>{3}));
}

TEST(ByteBpe, ControlTokensAreNotSpelledByText) {
  Vocabulary vocabulary;
  TextTable pieces;
  for (const char* text : {"<", "s", ">", "<s"}) ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
  ASSERT_TRUE(vocabulary.add("<s>", 0, TokenKind::control).ok());
  for (TokenId id = 0; id < vocabulary.size(); ++id) pieces.add(vocabulary.text(id));
  MergeTable table(vocabulary);
  ASSERT_TRUE(table.add("< s").ok());
  ASSERT_TRUE(table.add("<s >").ok());
  const auto model = make_byte_bpe(vocabulary, pieces, std::move(table), {.ignore_merges = true});
  EXPECT_EQ(ids_of(*model, "<s>"), (std::vector<TokenId>{0, 1, 2}));
}

TEST(ByteBpe, BytesWithoutATokenAreUnknownOrVanish) {
  Vocabulary vocabulary;
  TextTable pieces;
  for (const char* text : {"a", "?"}) {
    ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
    pieces.add(text);
  }
  EXPECT_EQ(ids_of(*make_byte_bpe(vocabulary, pieces, MergeTable(vocabulary), {}), "axa"),
            (std::vector<TokenId>{0, 0}));
  EXPECT_EQ(ids_of(*make_byte_bpe(vocabulary, pieces, MergeTable(vocabulary), {.unknown = 1}), "axa"),
            (std::vector<TokenId>{0, 1, 0}));
}

TEST(MergeTable, MergesThroughTextsThatAreNoTokens) {
  Vocabulary vocabulary;
  TextTable pieces;
  for (const char* text : {"a", "b", "c", "abc"}) {
    ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
    pieces.add(text);
  }
  MergeTable table(vocabulary);
  ASSERT_TRUE(table.add("a b").ok());
  ASSERT_TRUE(table.add("ab c").ok());
  const auto model = make_byte_bpe(vocabulary, pieces, std::move(table), {});
  EXPECT_EQ(ids_of(*model, "abc"), (std::vector<TokenId>{3}));
  EXPECT_EQ(ids_of(*model, "abb"), (std::vector<TokenId>{0, 1, 1}));
}

TEST(MergeTable, RefusesWhatIsNoMerge) {
  Vocabulary vocabulary;
  MergeTable table(vocabulary);
  for (const char* bad : {"", " ", "ab", "a ", " b"}) EXPECT_EQ(table.add(bad).code(), Code::corrupt) << bad;
  EXPECT_EQ(table.add(std::string(60000, 'a') + " " + std::string(60000, 'b')).code(), Code::corrupt);
  EXPECT_TRUE(table.add("a a").ok());
  EXPECT_TRUE(table.add("a a").ok());  // again: the first counts
  EXPECT_EQ(table.size(), 1u);
}

/// A random SentencePiece model: scores, no merges.
TEST(PieceBpe, MergesByScoreAsThePlainWayDoes) {
  std::mt19937 random(17);
  for (int round = 0; round < 60; ++round) {
    Vocabulary vocabulary;
    ASSERT_TRUE(vocabulary.add("<unk>", 0, TokenKind::unknown).ok());
    for (const char* text : {"a", "b", "\xE2\x96\x81", "\u00E9"})
      ASSERT_TRUE(vocabulary.add(text, -1e6f, TokenKind::normal).ok());
    std::vector<std::string> texts = {"a", "b", "\xE2\x96\x81", "\u00E9", "c"};
    for (size_t n = random() % 40; n > 0; --n) {
      const std::string text = texts[random() % texts.size()] + texts[random() % texts.size()];
      if (text.size() > 14 || vocabulary.find(text) >= 0) continue;
      texts.push_back(text);
      ASSERT_TRUE(vocabulary.add(text, -static_cast<float>(random() % 50), TokenKind::normal).ok());
    }
    const auto model = make_piece_bpe(vocabulary, std::nullopt, {.fuse_unknown = false, .unknown = 0});
    for (const size_t length : {1u, 2u, 5u, 20u, 50u, 200u}) {
      Symbols symbols;
      for (size_t i = 0; i < length; ++i) symbols.push_back(texts[random() % 5]);
      std::string text;
      for (const auto& symbol : symbols) text += symbol;
      symbols = merge_plainly(symbols, [&](const std::string& left, const std::string& right) {
        const TokenId id = vocabulary.find(left + right);
        return id < 0 ? INT64_MAX : static_cast<int64_t>(-vocabulary.score(id));
      });
      std::vector<TokenId> want;
      for (const auto& symbol : symbols) want.push_back(std::max(0, vocabulary.find(symbol)));
      EXPECT_EQ(ids_of(*model, text), want) << text;
    }
  }
}

TEST(PieceBpe, UnknownCharactersBecomeBytesOrOneUnknown) {
  Vocabulary vocabulary;
  ASSERT_TRUE(vocabulary.add("<unk>", 0, TokenKind::unknown).ok());
  ASSERT_TRUE(vocabulary.add("a", 0, TokenKind::normal).ok());
  PieceBpeOptions options;
  options.unknown = 0;
  EXPECT_EQ(ids_of(*make_piece_bpe(vocabulary, std::nullopt, options),
                   "a\u4E2D\u6587"
                   "a"),
            (std::vector<TokenId>{1, 0, 1}));
  options.fuse_unknown = false;
  EXPECT_EQ(ids_of(*make_piece_bpe(vocabulary, std::nullopt, options),
                   "a\u4E2D\u6587"
                   "a"),
            (std::vector<TokenId>{1, 0, 0, 1}));
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::byte).ok());
  }
  EXPECT_EQ(ids_of(*make_piece_bpe(vocabulary, std::nullopt, options), "a\u00E9\xFF"),
            (std::vector<TokenId>{1, 2 + 0xC3, 2 + 0xA9, 2 + 0xFF}));
}

TEST(PieceBpe, ScoresThatAreNoNumbersDoNoHarm) {
  Vocabulary vocabulary;
  for (const char* text : {"a", "b"}) ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
  ASSERT_TRUE(vocabulary.add("ab", std::numeric_limits<float>::quiet_NaN(), TokenKind::normal).ok());
  ASSERT_TRUE(vocabulary.add("ba", -std::numeric_limits<float>::infinity(), TokenKind::normal).ok());
  const auto model = make_piece_bpe(vocabulary, std::nullopt, {});
  EXPECT_EQ(ids_of(*model, "aba"), (std::vector<TokenId>{0, 3}));
}

}  // namespace
}  // namespace kinglet
