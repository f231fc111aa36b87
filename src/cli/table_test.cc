#include "cli/table.h"

#include <gtest/gtest.h>

namespace kinglet::cli {
namespace {

TEST(OneLine, TakesWhatSteersATerminal) {
  EXPECT_EQ(one_line("plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\xA6"), "plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\xA6");
  EXPECT_EQ(one_line("\x1B[31mred\x07\n"), "?[31mred??");
  EXPECT_EQ(one_line("\xC2\x9B"
                     "1m"),
            "?1m");  // CSI in one character
  EXPECT_EQ(one_line("a\xE2\x80\xAE"
                     "b"),
            "a?b");  // right-to-left override
  EXPECT_EQ(one_line("\xFFx\xC3"), "?x?");
  EXPECT_EQ(one_line("\xE0\x80\x80"), "???");
}

TEST(Table, AlignsColumns) {
  Table t({Align::right, Align::left, Align::left});
  t.add({"1", "one", "x"});
  t.add_heading("more");
  t.add({"22", "\xC3\xA9"});
  EXPECT_EQ(t.text(80), "   1  one  x\n  more\n  22  \xC3\xA9\n");
}

TEST(Table, WrapsTheWidestColumn) {
  Table t({Align::left, Align::left});
  t.add({"key", "one two three four five six"});
  EXPECT_EQ(t.text(22), "  key  one two three\n       four five six\n");
}

TEST(Table, BreaksWordsThatAreTooLong) {
  Table t({Align::left});
  t.add({"0123456789abcdef\xC3\xA9"});
  EXPECT_EQ(t.text(12), "  0123456789\n  abcdef\xC3\xA9\n");
}

}  // namespace
}  // namespace kinglet::cli
