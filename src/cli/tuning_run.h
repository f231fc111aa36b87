// What `tune` and `align` share: a model, as a rule with a new adapter, data as samples, the walker over both, and what is written.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arch/adapter.h"
#include "cli/teacher.h"
#include "cli/training_run.h"
#include "host/threads.h"
#include "train/dataset.h"
#include "train/graph.h"
#include "train/language_modeling.h"

namespace kinglet::cli {

struct TuningWords {
  CommonOptions common;
  TrainingWords training;
  TeacherWords teacher;
  std::string model, base = "lora", base_type = "auto", template_file, loss = "answers", gguf;
  std::vector<std::string> data, held_out, targets;
  int64_t rank = 16, max_length = 1024;
  double alpha = 32;
  bool rank_stabilized = false, plain = false, special = false, strict = false;
};

/// Declares MODEL, DATA and the options of adapters and rows, and those of every training.
void add_tuning(Arguments arguments, TuningWords& words);

/// Not movable: the graph looks at the parameters, and both at the program, which looks at the adapter.
struct TuningRun {
  /// Opens the model, reads the data for `goal` and shows the first sample with what counts. With --plan the model may be a
  /// shape alone (a preset, a config.json), and there need be no data. Errors: those of each.
  static Result<std::unique_ptr<TuningRun>> open(const TuningWords& words, train::DataGoal goal);

  /// The order of the training data; `group` samples stay together.
  train::DataOrder order(size_t group) const;
  /// Settles the steps of the run and what it takes, and prints that; no weight is read. Errors: resource_exhausted.
  Status make_plan(size_t group);
  /// Loads the weights and sets up the walker. Errors: those of both.
  Status load();
  /// Trains. Errors: run_training's.
  Result<TrainingOutcome> run(const Arguments& arguments, train::Objective& objective, Json course);
  /// Writes the adapter as a PEFT directory, or the whole model, as a GGUF file where asked for, and the report. Errors: io.
  Status save(const Arguments& arguments, train::Objective& objective, const TrainingOutcome& outcome,
              const std::string& title);

  const TuningWords& words;
  std::string path;
  std::optional<Checkpoint> checkpoint;
  std::optional<Tokenizer> tokenizer;
  Adapter adapter;
  ModelSpec spec;
  train::Dataset training;
  std::optional<train::Dataset> held_out;
  ThreadPool pool;
  Ledger ledger;
  std::optional<train::Parameters> parameters;
  std::optional<train::Graph> graph;
  train::StepShape shape;
  TrainingPlan plan;
  std::unique_ptr<Teacher> teacher;  ///< null: none
  bool weightless = false;

  TuningRun(const TuningWords& w, int threads, uint64_t memory) : words(w), pool(threads), ledger(memory) {}
  TuningRun(const TuningRun&) = delete;
  TuningRun& operator=(const TuningRun&) = delete;

 private:
  Status open_model();
  Status read_data(train::DataGoal goal);
  bool has_adapter() const { return words.base != "full"; }
  Status open_checkpoint();
  Status save_adapter();
  Status save_whole_model();
  PlannedModel planned();
  TrainingTask task(const Arguments& arguments, train::Objective& objective, Json course);
};

}  // namespace kinglet::cli
