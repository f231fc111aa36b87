// What the order of actions promises: places that do not collide, memory that checkpointing saves, work that frozen
// parameters save.
#include "train/tape.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "arch/architecture.h"

namespace kinglet::train {
namespace {

constexpr int64_t kLayers = 6;

ProgramStorage llama() {
  Hyper h;
  h.V = 1000;
  h.C = 64;
  h.L = kLayers;
  h.H = 4;
  h.G = 2;
  h.D = 16;
  h.F = 160;
  h.context = 128;
  h.tied = true;
  Builder builder(h, false);
  const auto found = std::find_if(architectures().begin(), architectures().end(),
                                  [](const Architecture& a) { return a.name == "llama"; });
  auto program = found->build(builder, h);
  EXPECT_TRUE(program.ok()) << program.status().text();
  return *std::move(program);
}

Tape tape_of(const ProgramStorage& program, std::span<const uint8_t> trained, const TapeOptions& options) {
  auto tape = make_tape(program.view(), trained, options);
  EXPECT_TRUE(tape.ok()) << tape.status().text();
  return *std::move(tape);
}

TEST(Tape, BuffersOfOneTimeDoNotOverlap) {
  const ProgramStorage program = llama();
  const std::vector<uint8_t> all(program.params.size(), 1);
  const Extents extents{.tokens = 50, .outputs = 31, .chunk = 16};
  for (const TapeOptions& options : {TapeOptions{}, TapeOptions{.checkpointing = Checkpointing::activations},
                                     TapeOptions{.checkpointing = Checkpointing::layers}, TapeOptions{.dropout = true},
                                     TapeOptions{.dropout = true, .checkpointing = Checkpointing::layers}}) {
    const Tape tape = tape_of(program, all, options);
    const Placement places = place_buffers(tape, extents);
    for (size_t i = 0; i < tape.buffers.size(); ++i)
      for (size_t j = 0; j < i; ++j) {
        const Buffer &a = tape.buffers[i], &b = tape.buffers[j];
        if (a.last < b.first || b.last < a.first) continue;
        const int64_t a_end = places.offsets[i] + a.width * extents.rows(a.extent);
        const int64_t b_end = places.offsets[j] + b.width * extents.rows(b.extent);
        EXPECT_TRUE(a_end <= places.offsets[j] || b_end <= places.offsets[i]) << i << " and " << j;
      }
    for (size_t i = 0; i < tape.buffers.size(); ++i)
      EXPECT_LE(places.offsets[i] + tape.buffers[i].width * extents.rows(tape.buffers[i].extent), places.floats);
  }
}

TEST(Tape, CheckpointingKeepsOneLayerAndTheBorders) {
  const ProgramStorage program = llama();
  const std::vector<uint8_t> all(program.params.size(), 1);
  const Extents extents{.tokens = 512, .outputs = 64, .chunk = 8};
  const int64_t whole = place_buffers(tape_of(program, all, {}), extents).floats;
  const int64_t saved = place_buffers(tape_of(program, all, {.checkpointing = Checkpointing::layers}), extents).floats;
  const int64_t forward = place_buffers(tape_of(program, all, {.backward = false}), extents).floats;
  EXPECT_LT(saved, whole / 2);
  EXPECT_LT(forward, saved);
  // Each layer but the last is recomputed without its last product.
  const Tape tape = tape_of(program, all, {.checkpointing = Checkpointing::layers});
  const auto forwards = std::count_if(tape.actions.begin(), tape.actions.end(),
                                      [](const Action& a) { return a.kind == Action::Kind::forward; });
  const auto steps = static_cast<int64_t>(program.steps.size());
  EXPECT_GT(forwards, steps);
  EXPECT_LT(forwards, 2 * steps - (kLayers - 1));
}

TEST(Tape, ActivationsComputedAgainTakeNoRoomBetween) {
  const ProgramStorage program = llama();
  const std::vector<uint8_t> all(program.params.size(), 1);
  const Extents extents{.tokens = 512, .outputs = 64, .chunk = 8};
  const int64_t whole = place_buffers(tape_of(program, all, {}), extents).floats;
  const Tape tape = tape_of(program, all, {.checkpointing = Checkpointing::activations});
  EXPECT_LT(place_buffers(tape, extents).floats, whole);
  const auto forwards = std::count_if(tape.actions.begin(), tape.actions.end(),
                                      [](const Action& a) { return a.kind == Action::Kind::forward; });
  const auto norms_and_gates = std::count_if(program.steps.begin(), program.steps.end(), [](const Step& s) {
    return s.layer >= 0 && (s.op == Op::rms_norm || s.op == Op::silu_mul);
  });
  EXPECT_EQ(forwards, static_cast<int64_t>(program.steps.size()) + norms_and_gates);
}

TEST(Tape, NothingRunsBackwardBelowTheFirstTrainedParameter) {
  const ProgramStorage program = llama();
  std::vector<uint8_t> trained(program.params.size(), 0);
  for (size_t i = 0; i < trained.size(); ++i) trained[i] = program.params[i].layer == kLayers - 1 ? 1 : 0;
  const Tape tape = tape_of(program, trained, {});
  bool any = false;
  for (const Action& a : tape.actions) {
    if (a.kind != Action::Kind::backward) continue;
    any = true;
    const int16_t layer = program.steps[static_cast<size_t>(a.step)].layer;
    EXPECT_TRUE(layer == kNone || layer == kLayers - 1) << a.step;
    EXPECT_NE(program.steps[static_cast<size_t>(a.step)].op, Op::embed);
  }
  EXPECT_TRUE(any);
}

TEST(Tape, AProgramWithoutAHeadIsRefused) {
  ProgramStorage program = llama();
  program.hidden = kNone;
  const std::vector<uint8_t> all(program.params.size(), 1);
  const auto tape = make_tape(program.view(), all, {});
  ASSERT_FALSE(tape.ok());
  EXPECT_EQ(tape.status().code(), Code::unsupported);
}

}  // namespace
}  // namespace kinglet::train
