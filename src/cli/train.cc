// kinglet train: pretraining, and going on with it, from text or token ids.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "arch/model_spec.h"
#include "cli/configuration.h"
#include "cli/load_model.h"
#include "cli/sample_text.h"
#include "cli/teacher.h"
#include "cli/training_run.h"
#include "cluster/cluster.h"
#include "convert/convert.h"
#include "formats/hf_directory.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "host/threads.h"
#include "train/held_out.h"
#include "train/language_modeling.h"
#include "train/save_model.h"

namespace kinglet::cli {
namespace {

constexpr int64_t kUsualWindow = 512;  // tokens that texts are cut to where nobody says otherwise
constexpr size_t kPromptTokens = 24;   // of a sample that begins with the data

struct Words {
  CommonOptions common;
  TrainingWords training;
  TeacherWords teacher;
  std::string model, init = "auto", tokenizer, gguf;
  std::vector<std::string> data, held_out, set;
  double held_out_share = 0;
  bool strict = false;
};

/// Where the run starts: a configuration, perhaps weights, perhaps a tokenizer.
struct Start {
  std::optional<Checkpoint> checkpoint;
  bool random = false;
  bool speaks = true;            ///< several processes: the first of them
  std::string tokenizer_folder;  ///< empty: none
  std::optional<Tokenizer> tokenizer;
  ModelSpec spec;
};

Status load_tokenizer(const Words& words, Start& start) {
  start.tokenizer_folder = words.tokenizer;
  const HfDirectory& hf = *start.checkpoint->hf();
  if (start.tokenizer_folder.empty() && (!hf.tokenizer.is_null() || !hf.sentencepiece.empty()))
    start.tokenizer_folder = words.model;
  if (start.tokenizer_folder.empty()) return ok_status();
  KL_ASSIGN(const Checkpoint from, Checkpoint::open(start.tokenizer_folder));
  KL_ASSIGN(start.tokenizer, Tokenizer::load(from));
  return ok_status();
}

Result<Start> open_start(const Words& words) {
  Start start;
  KL_ASSIGN(start.checkpoint, open_configuration(words.model, words.set));
  KL_TRY(load_tokenizer(words, start));
  KL_ASSIGN(start.spec, read_model_spec(*start.checkpoint));
  const bool weights = start.checkpoint->hf()->weights.has_value();
  if (words.init == "weights" && !weights)
    return error(Code::not_found, "{}: no weights; --init random starts afresh", words.model);
  start.random = words.init == "random" || !weights;
  if (start.tokenizer && start.tokenizer->vocab_size() > start.spec.hyper.V)
    return error(Code::invalid_argument,
                 "{}: the tokenizer has {} tokens, the model's vocabulary {}; --set vocab_size={} makes room",
                 start.tokenizer_folder, start.tokenizer->vocab_size(), start.spec.hyper.V,
                 start.tokenizer->vocab_size());
  return start;
}

// -- data --

struct Data {
  train::Dataset training;
  std::optional<train::Dataset> held_out;
};

Result<train::Dataset> load(const std::vector<std::string>& files, const Start& start, const Words& words) {
  const train::SampleOptions options{
      .max_length = words.training.sequence > 0 ? words.training.sequence + 1 : start.spec.hyper.context,
      .vocabulary = static_cast<int32_t>(start.spec.hyper.V)};
  ChatSource source;
  if (start.tokenizer) {
    KL_ASSIGN(const Checkpoint from, Checkpoint::open(start.tokenizer_folder));
    source = chat_source(from);
  }
  KL_ASSIGN(const auto maker,
            train::SampleMaker::create(start.tokenizer ? &*start.tokenizer : nullptr, std::move(source), options));
  train::RowProblems problems(words.strict);
  train::LoadReport report;
  KL_ASSIGN(train::Dataset data, train::load_dataset(files, maker, {}, problems, report));
  for (const std::string& line : train::describe(report, problems, options.max_length))
    if (start.speaks) fmt::print(stderr, "kinglet train: {}\n", line);
  return data;
}

Result<Data> load_data(const Words& words, const Start& start) {
  if (words.data.empty()) return Status(Code::invalid_argument, "--data FILE is missing: what to learn from");
  Data data;
  KL_ASSIGN(data.training, load(words.data, start, words));
  if (!words.held_out.empty()) {
    KL_ASSIGN(data.held_out, load(words.held_out, start, words));
  } else if (words.held_out_share > 0) {
    KL_ASSIGN(auto parts, train::split_off_end(data.training, words.held_out_share));
    data.training = std::move(parts.first);
    data.held_out = std::move(parts.second);
  }
  return data;
}

bool has_text(const train::Dataset& data) {
  for (size_t i = 0; i < data.size(); ++i)
    if (data.kind(i).text) return true;
  return false;
}

int64_t usual_window(const Start& start) {
  const int64_t context = start.spec.hyper.context;
  return context > 0 ? std::min(context, kUsualWindow) : kUsualWindow;
}

/// Tokens that a batch has for each of its sequences.
int64_t window_of(const Words& words, const Start& start, const train::Dataset& data) {
  if (words.training.sequence > 0) return words.training.sequence;
  return std::max(data.longest(), has_text(data) ? usual_window(start) : int64_t{1});
}

// -- the run --

/// What the loop works on. Not movable: the objective looks at the graph, and that at the parameters.
struct Run {
  const Words& words;
  Start start;
  std::optional<Data> data;  ///< absent: --plan without any
  ThreadPool pool;
  Ledger ledger;
  std::optional<train::Parameters> parameters;
  std::optional<train::Graph> graph;
  std::optional<train::GradientExchange> exchange;
  std::optional<train::LanguageModeling> objective;
  std::unique_ptr<Teacher> teacher;  ///< null: none
  train::StepShape shape;
  int64_t window = 0;
  TrainingPlan plan;

  Run(const Words& w, Start s, std::optional<Data> d, int threads, uint64_t memory)
      : words(w), start(std::move(s)), data(std::move(d)), pool(threads), ledger(memory) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  train::DataOrder order() const {
    const TrainingWords& t = words.training;
    return {data->training, {.window = window, .shuffle = !t.no_shuffle, .seed = t.seed}};
  }
};

PlannedModel planned(Run& run) {
  return {.program = &run.start.spec.program,
          .parameters = {.parallel = run.pool.parallel()},
          .stored = train::stored_in(*run.start.checkpoint),
          .sequence = run.window,
          .compute = compute_of(run.words.training),
          .dropout = run.words.training.dropout};
}

/// Seconds for the first batch, the second time it is walked. The gradients it adds are zeros.
Result<double> time_batch(Run& run, const train::Passes& passes) {
  train::DataOrder order = run.order();
  train::DataCursor cursor;
  const train::Batch batch = order.training_batch(order.next(cursor, run.shape.batch), cursor.epoch);
  double seconds = 0;
  for (int i = 0; i < 2; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    KL_TRY(passes.backward(batch, 0).status());
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (seconds > 5) break;  // then a page fault more or less says little
  }
  return seconds;
}

/// Settles what the run is and what it takes; no weight is read.
Status make_plan(Run& run) {
  const TrainingWords& t = run.words.training;
  run.shape.batches = t.accumulate;
  if (t.no_pack) run.shape.batch.sequences = t.batch;
  if (run.data) {
    run.window = window_of(run.words, run.start, run.data->training);
    if (!t.no_pack) run.shape.batch.tokens = t.batch * run.window;
    count_data(run.data->training, run.data->held_out ? &*run.data->held_out : nullptr, run.plan);
    count_steps(t, run.order(), run.shape, run.plan);
  } else {
    run.window = t.sequence > 0 ? t.sequence : usual_window(run.start);
    if (!t.no_pack) run.shape.batch.tokens = t.batch * run.window;
    assume_steps(t, run.window, run.shape, run.plan);
  }
  if (!run.words.teacher.models.empty()) {
    KL_ASSIGN(run.teacher,
              Teacher::open(run.words.teacher, run.start.spec, run.start.tokenizer ? &*run.start.tokenizer : nullptr));
    KL_TRY(run.teacher->count(run.pool.parallel(), run.plan.step_tokens / run.shape.batches, run.plan));
  }
  return plan_memory(planned(run), t, run.shape, run.ledger.limit(), run.plan);
}

Status prepare(Run& run, train::Collective& collective) {
  KL_TRY(check_memory(run.plan, run.ledger.limit()));
  const ProgramStorage& program = run.start.spec.program;
  if (run.start.random) {
    KL_ASSIGN(run.parameters, train::Parameters::random(program, run.words.training.seed, run.ledger));
  } else {
    KL_ASSIGN(run.parameters, train::Parameters::load(*run.start.checkpoint, program, {}, run.ledger));
  }
  KL_TRY(run.ledger.reserve(MemoryUse::other, run.plan.optimizer));
  if (run.teacher) KL_TRY(run.teacher->load(run.pool.parallel(), compute_of(run.words.training), run.ledger));
  KL_ASSIGN(run.graph, planned_graph(planned(run), *run.parameters, run.plan, run.ledger));
  train::Passes passes = run.teacher ? run.teacher->passes(*run.graph) : train::passes_of(*run.graph);
  KL_ASSIGN(const double seconds, time_batch(run, passes));
  KL_ASSIGN(const double beside, optimizer_seconds(planned(run), run.plan));
  run.plan.seconds = seconds * static_cast<double>(run.plan.batches) + beside;
  run.plan.seconds_by = "the first batch";
  run.objective.emplace(std::move(passes), run.order(), run.shape);
  if (collective.size() > 1) {
    run.exchange.emplace(*run.parameters, collective);
    run.graph->on_gradient([exchange = &*run.exchange](ParamId p) { exchange->ready(p); });
    run.objective->share(*run.exchange);
  }
  if (run.data->held_out) run.objective->hold_out({*run.data->held_out, {.window = run.window, .shuffle = false}});
  return ok_status();
}

// -- what is left behind --

Status save(const Run& run) {
  return train::save_model(*run.parameters, *run.start.checkpoint, run.start.tokenizer_folder, run.words.training.out);
}

std::vector<std::string> prompts_of(const Run& run) {
  if (!run.start.tokenizer || !run.words.training.prompts.empty()) return run.words.training.prompts;
  const auto ids = (run.data->held_out ? *run.data->held_out : run.data->training).ids(0);
  return {run.start.tokenizer->decode(ids.first(std::min(kPromptTokens, ids.size())))};
}

/// What the model in the out folder says to each prompt. A run is not lost because there is no sample of it.
std::vector<std::string> sample(const Run& run, const std::vector<std::string>& prompts) {
  std::vector<std::string> out;
  for (const std::string& prompt : prompts) {
    const auto text = sample_text(run.words.training.out, prompt, {.threads = run.pool.threads()});
    out.push_back(text.ok() ? *text : fmt::format("(no sample: {})", text.status().text()));
  }
  return out;
}

Status finish(const Run& run, const TrainingTask& task, const TrainingOutcome& outcome,
              const std::vector<std::string>& before) {
  KL_TRY(save(run));
  const Words& words = run.words;
  const std::string& out = words.training.out;
  const std::vector<std::string> prompts = prompts_of(run), after = sample(run, prompts);
  std::vector<train::ReportSample> samples;
  for (size_t i = 0; i < prompts.size(); ++i)
    samples.push_back({prompts[i], i < before.size() ? before[i] : "", after[i]});
  KL_TRY(write_report(task, fmt::format("kinglet train {}", words.model), outcome, std::move(samples)));
  if (!words.gguf.empty()) {
    KL_ASSIGN(const Checkpoint written, Checkpoint::open(out));
    KL_TRY(convert::to_gguf(written, words.gguf, {}).status());
  }
  if (words.common.json) {
    Json json{{"out", out},
              {"steps", task.plan.steps},
              {"loss", outcome.last_loss},
              {"first_loss", outcome.first_loss},
              {"tokens", outcome.tokens},
              {"seconds", outcome.seconds}};
    if (outcome.held_out) json["held_out_loss"] = *outcome.held_out;
    fmt::print("{}\n", to_text(json));
    return ok_status();
  }
  fmt::print("{}: {} steps, loss {:.4f} -> {:.4f}{}, {:.0f} tokens/s\n", out, task.plan.steps, outcome.first_loss,
             outcome.last_loss, outcome.held_out ? fmt::format(", held out {:.4f}", *outcome.held_out) : "",
             outcome.seconds > 0 ? static_cast<double>(outcome.tokens) / outcome.seconds : 0.0);
  return ok_status();
}

Status train_model(const Arguments& arguments, const Words& words) {
  const TrainingWords& t = words.training;
  if (words.model.empty())
    return Status(Code::invalid_argument,
                  "no MODEL: a Hugging Face directory, a config.json, or a preset of `kinglet synth --list`");
  KL_ASSIGN(const std::unique_ptr<train::Collective> collective, cluster::join());
  const bool first = collective->rank() == 0;
  if (!t.plan) KL_TRY(check_out_folder(t));
  KL_ASSIGN(const uint64_t memory, memory_limit(words.common));
  KL_ASSIGN(Start start, open_start(words));
  start.speaks = first;
  std::optional<Data> data;
  if (!t.plan || !words.data.empty()) {
    KL_ASSIGN(data, load_data(words, start));
  }
  Run run(
      words, std::move(start), std::move(data),
      words.common.threads > 0 ? words.common.threads : std::max(1, ThreadPool::available() / cluster::launched_here()),
      memory);
  KL_TRY(make_plan(run));
  if (t.plan) {
    KL_TRY(plan_time(planned(run), run.shape, run.plan));
    if (first) print_plan(words.common, t, run.plan);
    collective->leave();
    return check_memory(run.plan, memory);
  }
  KL_TRY(prepare(run, *collective));
  if (first) print_plan(words.common, t, run.plan);
  Json course = course_of(t, run.plan.steps);
  course["data"] = {{"samples", run.plan.samples}, {"tokens", run.plan.tokens}};
  course["parameters"] = run.plan.parameters;
  if (run.teacher) course["teacher"] = run.teacher->course();
  const TrainingTask task{.arguments = arguments,
                          .words = &t,
                          .objective = &*run.objective,
                          .tensors = train::trained_tensors(*run.parameters, tensor_options_of(t)),
                          .course = std::move(course),
                          .plan = run.plan,
                          .parallel = run.pool.parallel(),
                          .collective = collective->size() > 1 ? collective.get() : nullptr};
  std::vector<std::string> before;
  if (first && !t.resume && run.start.tokenizer) {
    KL_TRY(save(run));  // finds out now whether the folder can be written, and not after hours
    before = sample(run, prompts_of(run));
  }
  KL_ASSIGN(const TrainingOutcome outcome, run_training(task));
  if (first) KL_TRY(finish(run, task, outcome, before));
  collective->leave();
  return ok_status();
}

}  // namespace

Action setup_train(Arguments arguments) {
  const auto words = std::make_shared<Words>();
  arguments.option("model", words->model,
                   "a Hugging Face directory, a config.json, or a preset of `kinglet synth --list`");
  arguments
      .option("--data", words->data,
              "what to learn: .jsonl of \"input_ids\" (and \"labels\") or \"text\", .txt, packed as .gz or .zst "
              "(may be given again)")
      .greedy();
  arguments.option("--held-out", words->held_out, "data to measure on, not learned").greedy();
  arguments
      .option("--held-out-share", words->held_out_share, "hold out the last part of the data in place of --held-out")
      .range(0.0, 0.9)
      .show_default();
  arguments
      .option("--init", words->init,
              "weights: go on from those that are there; random: start afresh; auto: weights where there are")
      .one_of({"auto", "weights", "random"})
      .show_default();
  arguments.option("--tokenizer", words->tokenizer,
                   "directory whose tokenizer is used and copied (default: the model's)");
  arguments.option("--set", words->set, "KEY=VALUE of config.json, e.g. num_hidden_layers=6 (may be given again)")
      .repeated();
  arguments.option("--gguf", words->gguf, "also write the model as this GGUF file");
  arguments.flag("--strict", words->strict, "stop at the first row that cannot be used, in place of counting it");
  add_training(arguments, words->training);
  add_dropout(arguments, words->training);
  add_teacher(arguments, words->teacher);
  add_common(arguments, words->common);
  arguments.footer(
      "Examples:\n"
      "  kinglet train ./my-model --data text.jsonl.gz --held-out-share 0.05 --steps 1000 --out ./trained\n"
      "  kinglet train llama-3.2-1b --set num_hidden_layers=4 --set hidden_size=256 --tokenizer ./tok --data book.txt "
      "--out ./small\n"
      "  kinglet train ./my-model --config trained/settings.toml --resume\n"
      "  mpirun -n 2 kinglet train ./my-model --data text.jsonl --steps 1000 --out ./trained     (where it is built "
      "with "
      "Open MPI)");
  return [words, arguments]() mutable {
    KL_TRY(arguments.read_settings(words->training.config));
    return train_model(arguments, *words);
  };
}

}  // namespace kinglet::cli
