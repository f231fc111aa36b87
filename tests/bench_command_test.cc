// kinglet bench as a machine reads it.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "formats/json.h"
#include "host/testing.h"

namespace kinglet {
namespace {

std::vector<Json> bench_rows(const std::string& words) {
  const TempFolder home;
  const std::string command = "KINGLET_HOME='" + home.file("home") + "' '" KINGLET_PROGRAM "' bench " + words;
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(cert-env33-c): a test's own words
  std::vector<Json> rows;
  char line[4096];
  while (pipe != nullptr && std::fgets(line, sizeof(line), pipe) != nullptr) {
    const Result<Json> row = parse_json(line);
    EXPECT_TRUE(row.ok()) << line;
    if (row.ok()) rows.push_back(*row);
  }
  EXPECT_EQ(pipe == nullptr ? -1 : pclose(pipe), 0) << words;
  return rows;
}

TEST(BenchCommand, ReadsTheWeightsAfterDecoding) {
  const std::vector<Json> rows = bench_rows("books-7m -p 8 -n 4 -d 0,16 -r 1 -t 1 --read --json");
  ASSERT_EQ(rows.size(), 6u);
  for (size_t i = 0; i < rows.size(); i += 3) {
    const Json &prompt = rows[i], &decode = rows[i + 1], &read = rows[i + 2];
    EXPECT_EQ(prompt["test"], "prompt");
    EXPECT_EQ(decode["test"], "decode");
    EXPECT_EQ(read["test"], "read");
    EXPECT_EQ(read["depth"], decode["depth"]);
    // The linear weights of seven million parameters, the tied head among them, at 8.5 bits.
    EXPECT_NEAR(read["gb"].get<double>(), 7.16e6 * 8.5 / 8 * 1e-9, 0.1e-3);
    const double bound = read["gb_per_s"].get<double>() / read["gb"].get<double>();
    EXPECT_GT(bound, 0);
    EXPECT_NEAR(read["decode_share"].get<double>(), decode["tok_per_s"].get<double>() / bound, 0.01);
  }
}

}  // namespace
}  // namespace kinglet
