#include "engine/stop_strings.h"

#include <gtest/gtest.h>

#include <random>

namespace kinglet {
namespace {

StopStrings make(std::vector<std::string> texts) {
  auto stops = StopStrings::create(std::move(texts));
  EXPECT_TRUE(stops.ok()) << stops.status().text();
  return *std::move(stops);
}

TEST(StopStrings, HoldsBackWhatMayBeginOne) {
  StopStrings stops = make({"\n\nUser:", "END"});
  EXPECT_EQ(stops.push("one\n"), "one");
  EXPECT_EQ(stops.push("two"), "\ntwo");
  EXPECT_EQ(stops.push(" E"), " ");
  EXPECT_EQ(stops.push("N"), "");
  EXPECT_EQ(stops.push("x\n"), "ENx");
  EXPECT_EQ(stops.push("\nUs"), "");
  EXPECT_FALSE(stops.stopped());
  EXPECT_EQ(stops.push("er: more"), "");
  EXPECT_TRUE(stops.stopped());
  EXPECT_EQ(stops.found(), "\n\nUser:");
}

TEST(StopStrings, GivesBackWhatItHeldAtTheEnd) {
  StopStrings stops = make({"stop"});
  EXPECT_EQ(stops.push("a sto"), "a ");
  EXPECT_EQ(stops.flush(), "sto");
  EXPECT_EQ(stops.flush(), "");
}

TEST(StopStrings, TheOneThatBeginsFirstCounts) {
  StopStrings stops = make({"cd", "bcd"});
  EXPECT_EQ(stops.push("abcd"), "a");
  EXPECT_EQ(stops.found(), "bcd");
}

TEST(StopStrings, NoneLetsEverythingPass) {
  StopStrings stops = make({});
  EXPECT_EQ(stops.push("anything"), "anything");
  EXPECT_EQ(stops.flush(), "");
}

TEST(StopStrings, AnyCutGivesTheSame) {
  const std::string text =
      "abaababaabcabaab\xC3\xA9"
      "ababcab";
  const std::vector<std::vector<std::string>> sets = {{"abc"},
                                                      {"aabca", "\xC3\xA9"},
                                                      {"zz", "babaabc"},
                                                      {"\xC3\xA9"
                                                       "ab"},
                                                      {"nope"}};
  std::mt19937 random(1);
  for (const auto& set : sets) {
    size_t first = text.size();
    for (const auto& stop : set) first = std::min(first, text.find(stop));
    for (int round = 0; round < 200; ++round) {
      StopStrings stops = make(set);
      std::string shown;
      for (size_t at = 0; at < text.size() && !stops.stopped();) {
        size_t n = std::min<size_t>(1 + random() % 5, text.size() - at);
        while (at + n < text.size() && (static_cast<unsigned char>(text[at + n]) & 0xC0) == 0x80) ++n;
        const std::string piece = stops.push(std::string_view(text).substr(at, n));
        EXPECT_TRUE(piece.empty() || (static_cast<unsigned char>(piece[0]) & 0xC0) != 0x80);
        shown += piece;
        at += n;
      }
      if (!stops.stopped()) shown += stops.flush();
      EXPECT_EQ(shown, text.substr(0, first));
      EXPECT_EQ(stops.stopped(), first < text.size());
    }
  }
}

TEST(StopStrings, RefusesWhatCannotBeOne) {
  EXPECT_FALSE(StopStrings::create({""}).ok());
  EXPECT_FALSE(StopStrings::create({"\xFF"}).ok());
  EXPECT_FALSE(StopStrings::create({std::string(StopStrings::kLongest + 1, 'x')}).ok());
  EXPECT_FALSE(StopStrings::create(std::vector<std::string>(StopStrings::kMost + 1, "x")).ok());
}

}  // namespace
}  // namespace kinglet
