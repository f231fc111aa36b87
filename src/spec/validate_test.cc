#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "spec/program.h"

namespace kinglet {
namespace {

// x (T, 8) = embed; y (T, 4) = linear x; logits = select y.
struct Small {
  std::vector<Slot> slots = {{8}, {4}, {4, kNone, 0, Rows::outputs}};
  std::vector<ParamShape> params = {{{10, 8}}, {{4, 8}}};
  std::vector<Step> steps;
  Small() {
    steps.push_back({.op = Op::embed, .out = 0, .weight = 0});
    steps.push_back({.op = Op::linear, .in = {0, kNone, kNone}, .out = 1, .weight = 1});
    steps.push_back({.op = Op::select, .in = {1, kNone, kNone}, .out = 2});
  }
  Program view() const { return {.steps = steps, .slots = slots, .params = params, .ropes = {}, .logits = 2}; }
};

void expect_refused(const Small& small, const std::string& why) {
  const Status status = validate(small.view());
  EXPECT_EQ(status.code(), Code::invalid_argument);
  EXPECT_NE(std::string(status.text()).find(why), std::string::npos) << status.text();
}

TEST(Validate, TakesAProgramThatFits) { EXPECT_TRUE(validate(Small().view()).ok()); }

TEST(Validate, NamesTheStepWhoseWeightDoesNotFit) {
  Small small;
  small.params[1] = {{4, 9}};
  expect_refused(small, "step 1 (linear): a parameter is (4, 9), expected (4, 8)");
}

TEST(Validate, RefusesWhatDoesNotExist) {
  Small small;
  small.steps[1].weight = 7;
  expect_refused(small, "a parameter that does not exist");
  small = {};
  small.steps[1].in[0] = 9;
  expect_refused(small, "an input that does not exist");
  small = {};
  small.steps[2].out = -3;
  expect_refused(small, "an output that does not exist");
}

TEST(Validate, RefusesViewsThatReachOutside) {
  Small small;
  small.slots.push_back({4, 0, 5});
  expect_refused(small, "reaches outside");
  small.slots.back() = {4, 3, 0};
  expect_refused(small, "views a later slot");
  small.slots.back() = {4, 0, 4};
  EXPECT_TRUE(validate(small.view()).ok());
}

TEST(Validate, RefusesUnorderedUse) {
  Small read_early;
  std::swap(read_early.steps[0], read_early.steps[1]);
  expect_refused(read_early, "is read before it is written");
  Small written_twice;
  written_twice.steps.push_back(written_twice.steps[1]);
  expect_refused(written_twice, "is written twice");
}

TEST(Validate, RefusesHeadsThatDoNotFill) {
  Small small;
  small.steps[1] = {
      .op = Op::rms_norm, .in = {0, kNone, kNone}, .out = 1, .weight = 1, .attr = {.heads = 3, .head_width = 2}};
  small.slots[1].width = 8;
  small.slots[2].width = 8;
  expect_refused(small, "heads do not fill the row");
}

}  // namespace
}  // namespace kinglet
