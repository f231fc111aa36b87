// Two processes under mpirun train what one trains.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "formats/json.h"
#include "host/file.h"
#include "host/testing.h"
#include "run_program.h"
#include "tiny_model.h"
#include "train/log.h"

namespace kinglet {
namespace {

#ifdef KINGLET_HAVE_MPI
std::vector<double> losses_of(const std::string& folder) {
  std::vector<double> out;
  const auto lines = train::read_log(folder + "/log.jsonl");
  EXPECT_TRUE(lines.ok()) << lines.status().text();
  if (lines.ok())
    for (const Json& line : *lines) {
      out.push_back(line["loss"].get<double>());
      if (line.contains("held_out_loss")) out.push_back(line["held_out_loss"].get<double>());
    }
  return out;
}
#endif

TEST(Cluster, TwoProcessesHaveTheLossesOfOne) {
#ifndef KINGLET_HAVE_MPI
  GTEST_SKIP() << "built without Open MPI (KINGLET_MPI)";
#else
  const TempFolder folder;
  write_tiny_folder(folder.file("model"));
  std::string rows;
  for (int i = 0; i < 14; ++i) {
    Json ids = Json::array();
    for (int t = 0; t < 4 + i % 5; ++t) ids.push_back((7 * i + t * t) % 200);
    rows += Json{{"input_ids", ids}}.dump() + "\n";
  }
  ASSERT_TRUE(write_file(folder.file("ids.jsonl"), rows).ok());
  const auto train = [&](const std::string& launcher, const std::string& out, const std::string& more) {
    const std::string command = fmt::format(
        "{} {} train {} --data {} --steps 8 --batch 3 --no-pack --held-out-share 0.2 --lr 1e-2 --threads 1 --out {} {} "
        "> {}.text 2>&1 < /dev/null",
        launcher, KINGLET_PROGRAM, folder.file("model"), folder.file("ids.jsonl"), folder.file(out), more,
        folder.file(out));
    return std::system(command.c_str());  // NOLINT(cert-env33-c): a test's own words
  };
  const std::string two = "mpirun -n 2 --oversubscribe --allow-run-as-root";
  ASSERT_EQ(train("", "one", ""), 0);
  ASSERT_EQ(train(two, "two", "--checkpoint-every 4"), 0) << *read_file(folder.file("two.text"));
  const std::vector<double> one = losses_of(folder.file("one")), both = losses_of(folder.file("two"));
  ASSERT_EQ(both.size(), one.size());
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(both[i], one[i], 1e-5) << i;
  // One of them speaks, and one writes.
  const std::string text = *read_file(folder.file("two.text"));
  EXPECT_EQ(text.find("parameters"), text.rfind("parameters")) << text;
  EXPECT_TRUE(is_file(folder.file("two/model.safetensors")));
  // What one cannot do ends both.
  EXPECT_NE(train(two, "two", "--resume --lr 3e-3"), 0);
#endif
}

TEST(Cluster, ABuildWithoutItSaysSo) {
#ifdef KINGLET_HAVE_MPI
  GTEST_SKIP() << "this build has Open MPI";
#else
  setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
  const Outcome o = run({"train", "llama-3.2-1b", "--plan", "--steps", "1"});
  unsetenv("OMPI_COMM_WORLD_SIZE");
  EXPECT_NE(o.code, 0);
  EXPECT_NE(o.err.find("KINGLET_MPI"), std::string::npos) << o.err;
#endif
}

}  // namespace
}  // namespace kinglet
