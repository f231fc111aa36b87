// A small vocabulary and random texts of a grammar. For x_test.cc files only.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "grammar/matcher.h"

namespace kinglet::grammar {

/// Every byte, and pieces that lie across the borders of JSON's tokens.
inline std::shared_ptr<const TokenTrie> test_trie(std::vector<std::string>* pieces_out = nullptr) {
  std::vector<std::string> pieces;
  for (int c = 0; c < 256; ++c) pieces.emplace_back(1, static_cast<char>(c));
  for (const char* piece :
       {"{\"",  "\":",    "\": ", "\",",   "\"}", "},",     "}]",  "]}",     "true",  "tr",  "null", "12",
        "00",   "-1",     ".5",   "e1",    "ab",  "abc",    "a\"", "b\",\"", "\\n",   "\\u", "d8",   "é",
        "\xC3", "\xA9\"", "名前", "\": [", "[[",  "\n\n  ", "  ",  "",       "a\":1", "1,"})
    pieces.emplace_back(piece);
  if (pieces_out != nullptr) *pieces_out = pieces;
  return std::make_shared<const TokenTrie>(pieces);
}

inline Matcher matcher_of(Result<Grammar> grammar) {
  EXPECT_TRUE(grammar.ok()) << grammar.status().text();
  if (!grammar.ok()) std::abort();
  return Matcher(std::make_shared<Automaton>(*std::move(grammar), test_trie()));
}

inline bool matches(Matcher& m, std::string_view text) {
  m.reset();
  return m.accept(text).ok() && m.can_end();
}

/// A random walk over allowed tokens that ends as soon as it may after `longest` tokens, or gives up ("" then).
inline std::string random_text(Matcher& m, std::mt19937& random, int longest) {
  std::vector<std::string> pieces;
  (void)test_trie(&pieces);
  m.reset();
  std::string text;
  for (int n = 0; n < longest * 20; ++n) {
    if (m.can_end() && (m.must_end() || n > longest || random() % 4 == 0)) return text;
    const auto allowed = m.allowed();
    if (!allowed.ok()) return "";
    std::vector<size_t> ids;
    for (size_t id = 0; id < pieces.size(); ++id)
      if ((**allowed)[id / 64] >> (id % 64) & 1) ids.push_back(id);
    EXPECT_FALSE(ids.empty()) << "nothing may follow '" << text << "'";
    if (ids.empty()) return "";
    // Late in the walk the shortest way out: closing pieces first.
    size_t chosen = ids[random() % ids.size()];
    if (n > longest)
      for (const size_t id : ids)
        if (pieces[id] == "\"" || pieces[id] == "}" || pieces[id] == "]") chosen = id;
    EXPECT_TRUE(m.accept(pieces[chosen]).ok()) << text << " + " << pieces[chosen];
    text += pieces[chosen];
  }
  return "";
}

}  // namespace kinglet::grammar
