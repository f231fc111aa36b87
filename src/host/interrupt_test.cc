#include "host/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>

namespace kinglet {
namespace {

TEST(Interrupt, IsAQuestionWhileAScopeLives) {
  {
    const InterruptScope scope;
    EXPECT_FALSE(InterruptScope::requested());
    std::raise(SIGINT);
    EXPECT_TRUE(InterruptScope::requested());
    InterruptScope::clear();
    EXPECT_FALSE(InterruptScope::requested());
    std::raise(SIGINT);
    EXPECT_TRUE(InterruptScope::requested());
  }
  const InterruptScope next;
  EXPECT_FALSE(InterruptScope::requested());
}

TEST(InterruptDeathTest, ASecondOneEndsTheProcess) {
  EXPECT_EXIT(
      {
        const InterruptScope scope;
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace kinglet
