#include "host/terminal.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

namespace kinglet {
namespace {

class Terminal : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("COLUMNS");
    ASSERT_NE(file_, nullptr);
  }
  void TearDown() override { unsetenv("COLUMNS"); }
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{std::tmpfile(), std::fclose};
};

TEST_F(Terminal, AFileIsNone) {
  EXPECT_FALSE(is_terminal(file_.get()));
  EXPECT_EQ(terminal_columns(file_.get(), 77), 77);
}

TEST_F(Terminal, ColumnsComesFirst) {
  setenv("COLUMNS", "120", 1);
  EXPECT_EQ(terminal_columns(file_.get(), 77), 120);
  setenv("COLUMNS", "3", 1);
  EXPECT_EQ(terminal_columns(file_.get(), 77), 20);
  for (const char* wrong : {"", "wide", "80x", "-5", "99999999999999999999"}) {
    setenv("COLUMNS", wrong, 1);
    EXPECT_EQ(terminal_columns(file_.get(), 77), 77) << wrong;
  }
}

}  // namespace
}  // namespace kinglet
