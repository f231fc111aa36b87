// Unigram against a plain search over the whole text; WordPiece; the trie below both.
#include "tokenizer/unigram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "tokenizer/trie.h"
#include "tokenizer/word_testing.h"
#include "tokenizer/wordpiece.h"

namespace kinglet {
namespace {

/// The best sum of scores over every way to spell `text`; each character outside the vocabulary costs `unknown`.
double best_score(const std::map<std::string, double>& scores, const std::string& text, double unknown) {
  std::vector<double> best(text.size() + 1, -1e300);
  best[0] = 0;
  for (size_t begin = 0; begin < text.size(); ++begin) {
    for (size_t end = begin + 1; end <= text.size(); ++end) {
      const auto it = scores.find(text.substr(begin, end - begin));
      if (it != scores.end()) best[end] = std::max(best[end], best[begin] + it->second);
    }
    if (scores.count(text.substr(begin, 1)) == 0) best[begin + 1] = std::max(best[begin + 1], best[begin] + unknown);
  }
  return best[text.size()];
}

TEST(Unigram, FindsTheBestPath) {
  std::mt19937 random(23);
  for (int round = 0; round < 100; ++round) {
    Vocabulary vocabulary;
    std::map<std::string, double> scores;
    ASSERT_TRUE(vocabulary.add("<unk>", 0, TokenKind::unknown).ok());
    for (size_t n = 3 + random() % 20; n > 0; --n) {
      std::string text;
      for (size_t k = 1 + random() % 5; k > 0; --k) text += "abcd"[random() % 4];
      if (!scores.emplace(text, -static_cast<double>(random() % 1000) / 8).second) continue;
      ASSERT_TRUE(vocabulary.add(text, static_cast<float>(scores[text]), TokenKind::normal).ok());
    }
    double worst = 1e300;
    for (const auto& [text, score] : scores) worst = std::min(worst, score);
    const double unknown = worst - 10;
    const auto model = make_unigram(vocabulary, {.unknown = 0});
    for (const size_t length : {1u, 2u, 5u, 31u, 60u}) {
      std::string text;
      while (text.size() < length) text += "abcde"[random() % 5];
      double sum = 0;
      for (const TokenId id : ids_of(*model, text)) {
        if (id != 0) sum += scores[std::string(vocabulary.text(id))];
      }
      const double want = best_score(scores, text, unknown);
      // Neighbouring unknown characters are one token in the answer: count what they cost again.
      const double unknowns = std::round((want - sum) / unknown);
      EXPECT_NEAR(sum + unknowns * unknown, want, 1e-6) << text;
      EXPECT_GE(unknowns, 0);
    }
  }
}

TEST(Unigram, UserDefinedTokensWeighNothing) {
  Vocabulary vocabulary;
  ASSERT_TRUE(vocabulary.add("ab", -0.5f, TokenKind::normal).ok());
  ASSERT_TRUE(vocabulary.add("a", -9, TokenKind::user_defined).ok());
  ASSERT_TRUE(vocabulary.add("b", -0.25f, TokenKind::normal).ok());
  EXPECT_EQ(ids_of(*make_unigram(vocabulary, {}), "ab"), (std::vector<TokenId>{1, 2}));
}

TEST(Unigram, UnknownCharactersFuseOrBecomeBytes) {
  Vocabulary vocabulary;
  ASSERT_TRUE(vocabulary.add("<unk>", 0, TokenKind::unknown).ok());
  ASSERT_TRUE(vocabulary.add("a", -1, TokenKind::normal).ok());
  EXPECT_EQ(ids_of(*make_unigram(vocabulary, {.unknown = 0}),
                   "a\u4E2D\u6587"
                   "a"),
            (std::vector<TokenId>{1, 0, 1}));
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::byte).ok());
  }
  EXPECT_EQ(ids_of(*make_unigram(vocabulary, {.unknown = 0, .byte_fallback = true}), "a\u00E9"),
            (std::vector<TokenId>{1, 2 + 0xC3, 2 + 0xA9}));
}

TEST(Unigram, ScoresThatAreNoNumbersDoNoHarm) {
  Vocabulary vocabulary;
  ASSERT_TRUE(vocabulary.add("<unk>", 0, TokenKind::unknown).ok());
  ASSERT_TRUE(vocabulary.add("a", std::numeric_limits<float>::quiet_NaN(), TokenKind::normal).ok());
  ASSERT_TRUE(vocabulary.add("b", -std::numeric_limits<float>::infinity(), TokenKind::normal).ok());
  EXPECT_EQ(ids_of(*make_unigram(vocabulary, {.unknown = 0}), "abc"), (std::vector<TokenId>{1, 2, 0}));
  Vocabulary empty;
  EXPECT_EQ(ids_of(*make_unigram(empty, {}), "abc"), std::vector<TokenId>{});
}

TEST(WordPiece, LongestFirst) {
  Vocabulary vocabulary;
  for (const char* text : {"[UNK]", "un", "##aff", "##able", "##a", "unaff"})
    ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
  const auto model = make_wordpiece(vocabulary, {.continue_mark = "##", .unknown = 0, .max_word_chars = 12});
  EXPECT_EQ(ids_of(*model, "unaffable"), (std::vector<TokenId>{5, 3}));
  EXPECT_EQ(ids_of(*model, "una"), (std::vector<TokenId>{1, 4}));
  EXPECT_EQ(ids_of(*model, "unx"), (std::vector<TokenId>{0}));
  EXPECT_EQ(ids_of(*model, "able"), (std::vector<TokenId>{0}));
  EXPECT_EQ(ids_of(*model, "unaaaaaaaaaa"), (std::vector<TokenId>{1, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4}));
  EXPECT_EQ(ids_of(*model, "unaaaaaaaaaaa"), (std::vector<TokenId>{0}));
}

TEST(WordPiece, MarksOfGguf) {
  Vocabulary vocabulary;
  for (const char* text : {"[UNK]", "\u2581un", "a"}) ASSERT_TRUE(vocabulary.add(text, 0, TokenKind::normal).ok());
  const auto model = make_wordpiece(vocabulary, {.start_mark = "\xE2\x96\x81", .unknown = 0});
  EXPECT_EQ(ids_of(*model, "unaa"), (std::vector<TokenId>{1, 2, 2}));
  EXPECT_EQ(ids_of(*model, "a"), (std::vector<TokenId>{0}));
}

TEST(Trie, FindsWhatWasPutIn) {
  std::mt19937 random(29);
  for (int round = 0; round < 50; ++round) {
    std::map<std::string, int32_t> want;
    for (size_t n = random() % 300; n > 0; --n) {
      std::string text;
      for (size_t k = 1 + random() % 12; k > 0; --k)
        text += static_cast<char>(random() % 3 == 0 ? random() % 256 : 'a' + random() % 3);
      want.emplace(text, static_cast<int32_t>(want.size()));
    }
    std::vector<Trie::Entry> entries;
    for (const auto& [text, value] : want) entries.push_back({text, value});
    std::shuffle(entries.begin(), entries.end(), random);
    const Trie trie(entries);
    const auto find = [&](std::string_view text) {
      uint32_t node = Trie::kRoot;
      for (const char c : text) {
        node = trie.child(node, static_cast<uint8_t>(c));
        if (node == Trie::kNoChild) return Trie::kNone;
      }
      return trie.value(node);
    };
    for (const auto& [text, value] : want) {
      EXPECT_EQ(find(text), value);
      const auto longer = text + "a", shorter = text.substr(0, text.size() - 1);
      EXPECT_EQ(find(longer), want.count(longer) ? want[longer] : Trie::kNone);
      if (shorter.empty()) continue;
      EXPECT_EQ(find(shorter), want.count(shorter) ? want[shorter] : Trie::kNone);
    }
  }
}

TEST(Trie, EmptyAndRepeatedTexts) {
  EXPECT_EQ(Trie().child(Trie::kRoot, 'a'), Trie::kNoChild);
  const Trie trie({{"", 1}, {"a", 2}, {"a", 3}});
  EXPECT_EQ(trie.value(trie.child(Trie::kRoot, 'a')), 2);
  EXPECT_EQ(trie.value(Trie::kRoot), Trie::kNone);
}

}  // namespace
}  // namespace kinglet
