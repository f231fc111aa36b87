#include "train/trainer.h"

#include <gtest/gtest.h>

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#endif

#include <limits>

#include "host/testing.h"
#include "train/checkpoint.h"
#include "train/testing.h"

namespace kinglet::train {
namespace {

constexpr int32_t kVocabulary = 7;

/// 16 sequences of different lengths, some labels masked.
Dataset ragged() {
  Dataset data;
  for (int32_t i = 0; i < 16; ++i) {
    std::vector<int32_t> ids;
    for (int32_t t = 0; t < 2 + i * 5 % 9; ++t) ids.push_back((i * i + 3 * t) % kVocabulary);
    std::vector<int32_t> labels = ids;
    if (i % 3 == 0) labels[1] = kIgnore;
    data.add({ids, labels}, {});
  }
  return data;
}

constexpr StepShape kFourSequences{.batch = {.sequences = 2}, .batches = 2};

/// A run of the bigram model with memory of its own.
struct BigramRun {
  Dataset data = ragged();
  BigramModel model{kVocabulary};
  LanguageModeling objective;
  TrainerOptions options;

  explicit BigramRun(StepShape shape, bool shuffle = true)
      : objective(model.passes(), DataOrder(data, {.shuffle = shuffle, .seed = 3}), shape) {
    objective.hold_out(DataOrder(data, {.shuffle = false}));
    options.schedule = {.kind = ScheduleKind::cosine, .peak = 0.05, .total = 12, .warmup = 2};
    options.settings = {{"lr", 0.05}};
  }
  Trainer trainer(OptimizerKind kind = OptimizerKind::adamw) {
    auto made = Trainer::create(options, {.kind = kind}, model.tensors(), objective);
    EXPECT_TRUE(made.ok()) << made.status().text();
    return *std::move(made);
  }
};

TEST(LanguageModeling, AStepIsTheSameHoweverItIsCut) {
  BigramRun at_once({.batch = {.sequences = 16}}, false), one_by_one({.batch = {.sequences = 1}, .batches = 16}, false),
      packed({.batch = {.tokens = 20}, .batches = 100}, false);
  std::vector<StepLoss> losses;
  for (BigramRun* run : {&at_once, &one_by_one, &packed}) {
    const auto loss = run->objective.accumulate();
    ASSERT_TRUE(loss.ok()) << loss.status().text();
    losses.push_back(*loss);
    EXPECT_NEAR(loss->loss, std::log(7.0), 1e-12);  // every token is as likely
    for (size_t i = 0; i < 49; ++i) EXPECT_NEAR(run->model.gradient()[i], at_once.model.gradient()[i], 1e-7) << i;
  }
  EXPECT_EQ(losses[0].targets, losses[1].targets);
  EXPECT_EQ(losses[0].tokens, losses[2].tokens);
}

TEST(LanguageModeling, AStepEndsWhereItsEpochEnds) {
  const Dataset data = ragged();
  DataOrder order(data, {.shuffle = false});
  EXPECT_EQ(steps_of_epoch(order, 0, {.batch = {.sequences = 3}, .batches = 2}), 3);  // 6, 6 and 4 sequences
  EXPECT_EQ(steps_of_epoch(order, 0, {.batch = {.sequences = 16}, .batches = 2}), 1);
}

TEST(LanguageModeling, AStepWithoutTargetsIsRefused) {
  BigramModel model(kVocabulary);
  Dataset data;
  data.add({{1, 2}, {1, kIgnore}}, {});
  LanguageModeling objective(model.passes(), DataOrder(data, {}), {});
  EXPECT_EQ(objective.accumulate().status().code(), Code::corrupt);
  const auto held_out = objective.evaluate();
  ASSERT_TRUE(held_out.ok());
  EXPECT_FALSE(held_out->has_value());
}

TEST(Trainer, Learns) {
  BigramRun run(kFourSequences);
  run.options.schedule.total = 60;
  run.options.evaluate_every = 20;
  std::vector<StepRecord> records;
  ASSERT_TRUE(run.trainer().run({.step = [&](const StepRecord& r) { return records.push_back(r), ok_status(); }}).ok());
  ASSERT_EQ(records.size(), 60u);
  EXPECT_NEAR(records[0].loss.loss, std::log(7.0), 1e-12);  // before the first update
  EXPECT_EQ(records[0].learning_rate, 0.025);
  EXPECT_FALSE(records[18].held_out.has_value());
  EXPECT_LT(*records[59].held_out, *records[19].held_out);
  EXPECT_LT(*records[59].held_out, 1.2);
}

std::vector<float> through(OptimizerKind kind) {
  BigramRun run(kFourSequences);
  EXPECT_TRUE(run.trainer(kind).run({}).ok());
  return run.model.table();
}

TEST(Trainer, ResumesBitForBit) {
  for (const OptimizerKind kind : {OptimizerKind::adamw, OptimizerKind::adamw8, OptimizerKind::lion,
                                   OptimizerKind::adafactor, OptimizerKind::muon}) {
    const std::vector<float> whole = through(kind);
    const TempFolder folder;
    BigramRun first(kFourSequences), second(kFourSequences);
    first.options.checkpoint = second.options.checkpoint = folder.file("checkpoint");
    int steps = 0;
    const Status stopped = first.trainer(kind).run(
        {.step = [&](const StepRecord&) { return ++steps, ok_status(); }, .interrupted = [&] { return steps == 5; }});
    EXPECT_EQ(stopped.code(), Code::cancelled);
    Trainer trainer = second.trainer(kind);
    ASSERT_TRUE(trainer.resume().ok());
    EXPECT_EQ(trainer.steps_done(), 5);
    ASSERT_TRUE(trainer.run({}).ok());
    EXPECT_EQ(second.model.table(), whole) << name(kind);
  }
}

#ifndef _WIN32
/// Trains in a process of its own that dies in step `last`, before its checkpoint.
void train_and_die(const std::string& checkpoint, int64_t last) {
  BigramRun run(kFourSequences);
  run.options.checkpoint = checkpoint;
  run.options.checkpoint_every = 3;
  const pid_t child = fork();
  if (child == 0) {
    Trainer trainer = run.trainer();
    if (is_file(checkpoint) && !trainer.resume().ok()) _exit(1);
    const auto die = [&](const StepRecord& r) {
      return r.step == last ? (void)kill(getpid(), SIGKILL) : (void)0, ok_status();
    };
    (void)trainer.run({.step = die});
    _exit(2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(Trainer, SurvivesBeingKilled) {
  const TempFolder folder;
  const std::string checkpoint = folder.file("checkpoint");
  train_and_die(checkpoint, 2);
  EXPECT_FALSE(is_file(checkpoint));
  train_and_die(checkpoint, 4);
  train_and_die(checkpoint, 8);
  BigramRun run(kFourSequences);
  run.options.checkpoint = checkpoint;
  Trainer trainer = run.trainer();
  ASSERT_TRUE(trainer.resume().ok());
  EXPECT_EQ(trainer.steps_done(), 6);
  ASSERT_TRUE(trainer.run({}).ok());
  EXPECT_EQ(run.model.table(), through(OptimizerKind::adamw));
}
#endif

TEST(Trainer, RefusesACheckpointOfAnotherRun) {
  const TempFolder folder;
  BigramRun run(kFourSequences);
  run.options.checkpoint = folder.file("checkpoint");
  run.options.checkpoint_every = 4;
  ASSERT_TRUE(run.trainer().run({}).ok());
  EXPECT_TRUE(run.trainer().resume().ok());
  EXPECT_FALSE(run.trainer(OptimizerKind::lion).resume().ok());
  run.options.settings["lr"] = 0.1;
  EXPECT_NE(run.trainer().resume().text().find("lr is 0.1 here and 0.05 in the checkpoint"), std::string::npos);
  run.options.settings["lr"] = 0.05;
  run.options.checkpoint = folder.file("absent");
  EXPECT_EQ(run.trainer().resume().code(), Code::not_found);
  // Cut anywhere, it is refused and changes nothing.
  const auto bytes = read_file(folder.file("checkpoint"));
  const std::vector<float> before = run.model.table();
  run.options.checkpoint = folder.file("cut");
  for (size_t n = 0; n < bytes->size(); n += 97) {
    ASSERT_TRUE(write_file(run.options.checkpoint, bytes->substr(0, n)).ok());
    ASSERT_FALSE(run.trainer().resume().ok()) << n;
  }
  EXPECT_EQ(run.model.table(), before);
}

TEST(Trainer, AFailedCheckpointDoesNotEndTheRun) {
  const TempFolder folder;
  BigramRun run(kFourSequences);
  run.options.checkpoint = folder.file("no/such/folder/checkpoint");
  run.options.checkpoint_every = 5;
  int failures = 0;
  EXPECT_TRUE(run.trainer().run({.checkpoint_failed = [&](const Status& s) { failures += !s.ok(); }}).ok());
  EXPECT_EQ(failures, 3);  // after steps 5 and 10 and at the end
}

TEST(Watchdog, StopsAtANanAndAtAnExplosion) {
  BigramRun run(kFourSequences);
  run.model.table()[0] = std::numeric_limits<float>::quiet_NaN();
  const Status nan = run.trainer().run({});
  EXPECT_EQ(nan.code(), Code::out_of_range);
  EXPECT_TRUE(nan.text().starts_with("step 0: the loss is nan")) << nan.text();
  LossWatchdog watchdog(3.0);
  for (const double loss : {5.0, 3.0, 4.0, 8.0, 2.0})
    EXPECT_TRUE(watchdog.check(loss, 1).ok());  // a bad batch is no explosion
  LossWatchdog restored(3.0);
  restored.restore(watchdog.state());
  for (LossWatchdog* w : {&watchdog, &restored}) {
    EXPECT_TRUE(w->check(20, 1).ok());
    const Status exploded = w->check(30, 1);
    EXPECT_EQ(exploded.code(), Code::out_of_range);
    EXPECT_TRUE(exploded.text().starts_with("the loss explodes: ")) << exploded.text();
  }
  EXPECT_FALSE(LossWatchdog(3.0).check(1, std::numeric_limits<double>::infinity()).ok());
}

TEST(Watchdog, StopsWhereAWeightDoesNotChange) {
  BigramRun run(kFourSequences);
  std::vector<float> values{1, 2}, gradient(2);
  auto tensors = run.model.tensors();
  tensors.push_back({.name = "unread", .shape = {2}, .values = values, .gradient = gradient});
  auto trainer = Trainer::create(run.options, {}, tensors, run.objective);
  ASSERT_TRUE(trainer.ok());
  const Status stopped = trainer->run({});
  EXPECT_TRUE(stopped.text().starts_with("after 6 steps: unread is trained and has not changed")) << stopped.text();
}

}  // namespace
}  // namespace kinglet::train
