#include "arch/describe.h"

#include <gtest/gtest.h>

namespace kinglet {
namespace {

/// Three layers of a norm and two products; the middle one scales its output as well.
ProgramStorage three_layers() {
  const Hyper h{.V = 10, .C = 4, .L = 3, .H = 1, .G = 1, .D = 4, .norm_eps = 1e-6};
  Builder b(h, true);
  SlotId x = b.embed({"token_embd", "embed"}, h.V, h.C);
  for (int64_t layer = 0; layer < h.L; ++layer) {
    b.begin_layer(layer);
    const SlotId both = b.linear(b.rms_norm(x, {"norm", "norm"}), {"up", "up"}, 8, Bias::yes);
    const SlotId y = b.linear(b.gated(Op::silu_mul, b.columns(both, 0, 4), b.columns(both, 4, 4)), {"down", "down"}, 4);
    x = b.add(x, layer == 1 ? b.scale(y, 0.5) : y);
  }
  b.end_layers();
  const SlotId hidden = b.select_outputs(x);
  return *b.finish(b.head(hidden, {"output", "head"}, {"token_embd", "embed"}, true), hidden);
}

TEST(DescribeProgram, FoldsLayersThatRepeat) {
  const ProgramStorage p = three_layers();
  std::vector<std::string> types(p.params.size(), "f32");
  for (size_t i = 0; i < p.params.size(); ++i)
    if (p.params[i].gguf == "blk.2.down.weight") types[i] = "q8_0";
  const auto sections = describe_program(p, types);
  ASSERT_EQ(sections.size(), 4u);
  EXPECT_EQ(sections[0].layers, std::vector<int64_t>());
  EXPECT_EQ(sections[1].layers, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(sections[2].layers, (std::vector<int64_t>{1}));
  EXPECT_EQ(sections[3].layers, std::vector<int64_t>());

  const auto& embed = sections[0].steps.at(0);
  EXPECT_EQ(embed.number, 1);
  EXPECT_EQ(embed.op, "embed");
  EXPECT_EQ(embed.output, "(T, 4)");
  EXPECT_EQ(embed.parameters, "token_embd f32 (10, 4)");

  const auto& layer = sections[1].steps;
  ASSERT_EQ(layer.size(), 5u);
  EXPECT_EQ(layer[0].inputs, "x");
  EXPECT_EQ(layer[0].attributes, "eps 1e-06");
  EXPECT_EQ(layer[1].inputs, "#2");
  EXPECT_EQ(layer[1].parameters, "up f32 (8, 4), bias f32");
  EXPECT_EQ(layer[2].inputs, "#3[0:4], #3[4:8]");
  EXPECT_EQ(layer[3].parameters, "down f32 x 1 / q8_0 x 1 (4, 4)");
  EXPECT_EQ(layer[4].inputs, "x, #5");
  EXPECT_EQ(sections[2].steps.at(4).attributes, "factor 0.5");
  EXPECT_EQ(sections[3].steps.at(0).inputs, "x");
  EXPECT_EQ(sections[3].steps.at(1).output, "(R, 10)");
}

TEST(DescribeProgram, CountsSharedParametersOnce) {
  const ParameterCounts counts = count_parameters(three_layers());
  EXPECT_EQ(counts.embedding, 40);
  EXPECT_EQ(counts.linear, 3 * (32 + 16));
  EXPECT_EQ(counts.norm, 12);
  EXPECT_EQ(counts.bias, 24);
  EXPECT_EQ(counts.total(), 40 + 144 + 12 + 24);
  EXPECT_TRUE(counts.tied);
}

TEST(Ranges, JoinNeighbours) {
  EXPECT_EQ(ranges({}), "");
  EXPECT_EQ(ranges(std::vector<int64_t>{3}), "3");
  EXPECT_EQ(ranges(std::vector<int64_t>{0, 1, 2, 4, 6, 7}), "0-2, 4, 6-7");
}

}  // namespace
}  // namespace kinglet
