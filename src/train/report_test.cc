#include "train/report.h"

#include <gtest/gtest.h>

#include "formats/json.h"

namespace kinglet::train {
namespace {

TEST(Report, IsOnePageThatNeedsNothingElse) {
  std::vector<Json> log;
  for (int step = 0; step < 5000; ++step) {
    Json line{{"step", step},
              {"loss", 4.0 / (1 + step)},
              {"lr", 0.001},
              {"grad_norm", 1},
              {"tokens_per_second", 100 + step % 7}};
    if (step % 1000 == 999) line["held_out_loss"] = 1.5;
    log.push_back(line);
  }
  const Report report{.title = "a < b",
                      .figures = {{"steps", "5000"}},
                      .charts = charts_of(log),
                      .samples = {{"<p>", "before", "R&D"}},
                      .settings = {{"lr", "0.001"}}};
  const std::string page = html(report);
  EXPECT_NE(page.find("<title>a &lt; b</title>"), std::string::npos);
  EXPECT_NE(page.find("<pre>&lt;p&gt;</pre>"), std::string::npos);
  EXPECT_NE(page.find("R&amp;D"), std::string::npos);
  EXPECT_NE(page.find("held out"), std::string::npos);
  EXPECT_NE(page.find("<td>lr</td><td>0.001</td>"), std::string::npos);
  for (const char* outside : {"http:", "https:", "src=", "href=", "nan", "inf\""})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  EXPECT_LT(page.size(), 100'000u);  // curves are thinned
}

TEST(Report, DrawsWhatIsEmptyOrFlat) {
  const std::string page =
      html({.title = "t",
            .charts = {{"none", {{"c", {}}}}, {"flat", {{"c", {{0, 0}, {1, 0}}}}}, {"one", {{"c", {{3, 2}}}}}}});
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_EQ(page.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace kinglet::train
