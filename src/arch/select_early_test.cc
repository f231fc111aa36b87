#include "arch/select_early.h"

#include <gtest/gtest.h>

namespace kinglet {
namespace {

constexpr Hyper kHyper{.V = 10, .C = 8, .L = 2, .H = 2, .G = 2, .D = 4, .norm_eps = 1e-6};

struct Layer {
  SlotId normed, mixed;  ///< what attention reads, what it adds
};
Layer attend(Builder& b, SlotId x) {
  const SlotId normed = b.rms_norm(x, {"norm", "norm"});
  const SlotId q = b.linear(normed, {"q", "q"}, 8), k = b.linear(normed, {"k", "k"}, 8),
               v = b.linear(normed, {"v", "v"}, 8);
  return {normed, b.linear(b.attention(q, k, v), {"o", "o"}, 8)};
}
SlotId feed_forward(Builder& b, SlotId x) {
  const SlotId both = b.linear(x, {"up", "up"}, 16);
  return b.linear(b.gated(Op::silu_mul, b.columns(both, 0, 8), b.columns(both, 8, 8)), {"down", "down"}, 8);
}
ProgramStorage finish(Builder& b, SlotId x) {
  b.end_layers();
  const SlotId hidden = b.select_outputs(x);
  auto program = b.finish(b.head(hidden, {"output", "head"}, {"token_embd", "embed"}, true), hidden);
  EXPECT_TRUE(program.ok()) << program.status().text();
  return *std::move(program);
}

/// Two layers of attention and a gated feed-forward, each with its residual.
ProgramStorage decoder() {
  Builder b(kHyper, true);
  SlotId x = b.embed({"token_embd", "embed"}, kHyper.V, kHyper.C);
  for (int64_t layer = 0; layer < kHyper.L; ++layer) {
    b.begin_layer(layer);
    x = b.add(x, attend(b, x).mixed);
    x = b.add(x, feed_forward(b, b.rms_norm(x, {"norm2", "norm2"})));
  }
  return finish(b, x);
}

/// "linear:R attention:T ...": the operators of the steps from `first` on, with the rows that each makes.
std::string shape(const ProgramStorage& p, size_t first) {
  std::string out;
  for (size_t i = first; i < p.steps.size(); ++i) {
    const bool outputs = p.slots[static_cast<size_t>(p.steps[i].out)].rows == Rows::outputs;
    out.append(info(p.steps[i].op).name).append(outputs ? ":R " : ":T ");
  }
  return out;
}

/// The shape once output rows are selected early; what comes of it is a valid program.
std::string narrowed(ProgramStorage& p, size_t first) {
  select_early(p);
  const Status status = validate(p.view());
  EXPECT_TRUE(status.ok()) << status.text();
  return shape(p, first);
}

TEST(SelectEarly, NarrowsTheLastLayerBehindItsAttention) {
  ProgramStorage p = decoder();
  const size_t layer = 12, last = 1 + layer;
  EXPECT_EQ(shape(p, last),
            "rms_norm:T linear:T linear:T linear:T attention:T linear:T add:T rms_norm:T linear:T silu_mul:T linear:T "
            "add:T select:R linear:R ");
  EXPECT_EQ(narrowed(p, last),
            "rms_norm:T linear:T linear:T linear:T attention:T select:R select:R linear:R add:R rms_norm:R linear:R "
            "silu_mul:R linear:R add:R linear:R ");
}

// A feed-forward beside the attention reads what keys and values read too: that stays whole, and is selected for it.
TEST(SelectEarly, SelectsWhatIsAlsoReadWhole) {
  Builder b(kHyper, true);
  SlotId x = b.embed({"token_embd", "embed"}, kHyper.V, kHyper.C);
  b.begin_layer(0);
  const Layer layer = attend(b, x);
  x = b.add(x, layer.mixed);
  x = b.add(x, feed_forward(b, layer.normed));
  ProgramStorage p = finish(b, x);
  select_early(p);
  EXPECT_TRUE(validate(p.view()).ok()) << validate(p.view()).text();
  EXPECT_EQ(
      shape(p, 0),
      "embed:T rms_norm:T linear:T linear:T linear:T attention:T select:R select:R select:R linear:R add:R linear:R "
      "silu_mul:R linear:R add:R linear:R ");
}

TEST(SelectEarly, ReachesTheEmbeddingWhereNothingMixesTokens) {
  Builder b(kHyper, true);
  SlotId x = b.embed({"token_embd", "embed"}, kHyper.V, kHyper.C);
  b.begin_layer(0);
  x = b.add(x, feed_forward(b, x));
  ProgramStorage p = finish(b, x);
  EXPECT_EQ(narrowed(p, 0), "embed:T select:R linear:R silu_mul:R linear:R add:R linear:R ");
}

TEST(SelectEarly, LeavesAProgramThatMixesTokensLast) {
  Builder b(kHyper, true);
  const SlotId x = b.embed({"token_embd", "embed"}, kHyper.V, kHyper.C);
  b.begin_layer(0);
  ProgramStorage p = finish(b, b.attention(x, x, x));
  const std::string before = shape(p, 0);
  EXPECT_EQ(narrowed(p, 0), before);
}

TEST(SelectEarly, IsDoneOnce) {
  ProgramStorage p = decoder();
  const std::string once = narrowed(p, 0);
  EXPECT_EQ(narrowed(p, 0), once);
}

}  // namespace
}  // namespace kinglet
