#include "cli/training_options.h"

#include "formats/json.h"
#include "host/error.h"

namespace kinglet::cli {
namespace {

void add_batches(Arguments arguments, TrainingWords& w) {
  constexpr char kGroup[] = "Batches";
  arguments.option("--batch", w.batch, "sequences of --seq tokens in a batch")
      .range(int64_t{1}, int64_t{1} << 20)
      .group(kGroup)
      .show_default();
  arguments.option("--accumulate", w.accumulate, "batches in a step")
      .range(int64_t{1}, int64_t{1} << 20)
      .group(kGroup)
      .show_default();
  arguments
      .option("--seq", w.sequence,
              "tokens that texts are cut to; 0: what the model was made for, at most 512 (rows of ids: the longest)")
      .range(int64_t{0}, int64_t{1} << 24)
      .group(kGroup)
      .show_default();
  arguments
      .flag("--no-pack", w.no_pack,
            "a batch is --batch sequences, however short, in place of as many as fill its tokens")
      .group(kGroup);
  arguments.flag("--no-shuffle", w.no_shuffle, "take the data in their own order").group(kGroup);
  arguments.option("--seed", w.seed, "of the order of the data and of random weights").group(kGroup).show_default();
}

void add_optimization(Arguments arguments, TrainingWords& w) {
  constexpr char kGroup[] = "Optimization";
  arguments.option("--steps", w.steps, "steps of the run; 0: as many as --epochs take")
      .range(int64_t{0}, int64_t{1} << 40)
      .group(kGroup)
      .show_default();
  arguments.option("--epochs", w.epochs, "times that the data are gone through")
      .range(0.0, 1e9)
      .group(kGroup)
      .show_default();
  arguments.option("--lr", w.rate, "highest learning rate").group(kGroup).show_default();
  arguments.option("--min-lr", w.least_rate, "learning rate at the end").group(kGroup).show_default();
  arguments.option("--schedule", w.schedule, "learning rate over the run")
      .one_of({"constant", "cosine", "linear", "wsd"})
      .group(kGroup)
      .show_default();
  arguments
      .option("--warmup", w.warmup, "steps of warmup; -1: a twentieth of the run, none where the schedule is constant")
      .group(kGroup)
      .show_default();
  arguments.option("--decay-steps", w.decay_steps, "last steps in which wsd falls; -1: a fifth of the run")
      .group(kGroup)
      .show_default();
  arguments
      .option("--optimizer", w.optimizer,
              "adamw, one of less memory, or muon: layers' matrices by orthogonal momentum, the rest by adamw")
      .one_of({"adamw", "adamw8", "lion", "adafactor", "muon"})
      .group(kGroup)
      .show_default();
  arguments.option("--betas", w.betas, "moving averages of adamw and lion")
      .delimiter(',')
      .expected(2)
      .group(kGroup)
      .show_default();
  arguments.option("--eps", w.eps, "of adamw").group(kGroup).show_default();
  arguments.option("--weight-decay", w.weight_decay, "decoupled, of matrices")
      .non_negative()
      .group(kGroup)
      .show_default();
  arguments.flag("--decay-all", w.decay_all, "decay norms and biases too").group(kGroup);
  arguments.option("--clip", w.clip, "largest norm of all gradients together; 0: no clipping")
      .non_negative()
      .group(kGroup)
      .show_default();
  arguments
      .option("--max-loss-rise", w.most_rise,
              "stop when the loss is this many nats above its lowest, on average over some steps")
      .positive()
      .group(kGroup)
      .show_default();
  arguments
      .option("--checkpointing", w.checkpointing,
              "what is computed twice to save memory: none, activations (and norms), layers (all but what they begin "
              "with), or auto: by memory, and activations at least with qlora")
      .one_of({"none", "activations", "layers", "auto"})
      .group(kGroup)
      .show_default();
  arguments
      .option("--compute", w.compute,
              "what matrix products multiply in, where the processor multiplies bf16 (sums are f32): f32, bf16, or "
              "auto: f32, and bf16 where gradients pass weights that are held as the file has them (qlora)")
      .one_of({"f32", "bf16", "auto"})
      .group(kGroup)
      .show_default();
}

void add_output(Arguments arguments, TrainingWords& w) {
  constexpr char kGroup[] = "Output";
  arguments.option("--out", w.out, "folder of the trained model, its checkpoint, log and report").group(kGroup);
  arguments.option("--log", w.log, "JSON lines, one a step (default: log.jsonl in the out folder)").group(kGroup);
  arguments.option("--tensorboard", w.tensorboard, "write TensorBoard event files into this folder").group(kGroup);
  arguments.option("--report", w.report, "HTML page of the run (default: report.html in the out folder)").group(kGroup);
  arguments
      .option("--prompt", w.prompts,
              "text that samples before and after begin with (may be given again; default: one from the data)")
      .repeated()
      .group(kGroup);
  arguments
      .option("--eval-every", w.evaluate_every, "steps between evaluations on held-out data; 0: ten times in a run")
      .non_negative()
      .group(kGroup)
      .show_default();
  arguments.option("--checkpoint-every", w.checkpoint_every, "steps between checkpoints; 0: only when interrupted")
      .non_negative()
      .group(kGroup)
      .show_default();
  arguments.flag("--resume", w.resume, "go on where the out folder's checkpoint stopped")
      .not_in_settings()
      .group(kGroup);
  arguments.flag("--overwrite", w.overwrite, "begin anew though the out folder holds an unfinished run")
      .not_in_settings()
      .group(kGroup);
  arguments.flag("--plan", w.plan, "print what the run would take, and stop").not_in_settings().group(kGroup);
  arguments
      .option("--config", w.config,
              "TOML file of settings, as a run writes into its out folder; the command line comes first")
      .not_in_settings()
      .group(kGroup);
}

}  // namespace

void add_training(Arguments arguments, TrainingWords& words) {
  add_batches(arguments, words);
  add_optimization(arguments, words);
  add_output(arguments, words);
}

void add_dropout(Arguments arguments, TrainingWords& w) {
  arguments
      .option("--dropout", w.dropout,
              "share of values left out of the embedding and of what attention and feed-forward add, in training "
              "alone: against learning few data by heart, e.g. 0.1")
      .range(0.0, 0.99)
      .group("Optimization")
      .show_default();
}

Result<train::Schedule> schedule_of(const TrainingWords& w, int64_t steps) {
  const auto kind = train::schedule_from_name(w.schedule);
  if (!kind) return error(Code::invalid_argument, "no schedule '{}'", w.schedule);
  const int64_t warmup = w.warmup >= 0 ? w.warmup : *kind == train::ScheduleKind::constant ? 0 : steps / 20;
  const int64_t decay = w.decay_steps >= 0 ? w.decay_steps : steps / 5;
  const train::Schedule schedule{
      .kind = *kind, .peak = w.rate, .floor = w.least_rate, .total = steps, .warmup = warmup, .decay = decay};
  KL_TRY(schedule.check());
  return schedule;
}

Result<train::OptimizerOptions> optimizer_of(const TrainingWords& w) {
  const auto kind = train::optimizer_from_name(w.optimizer);
  if (!kind || w.betas.size() != 2)
    return error(Code::invalid_argument, "no optimizer '{}' with {} betas", w.optimizer, w.betas.size());
  return train::OptimizerOptions{
      .kind = *kind, .beta1 = w.betas[0], .beta2 = w.betas[1], .eps = w.eps, .compute = compute_of(w)};
}

train::Compute compute_of(const TrainingWords& w) {
  if (w.compute == "f32") return train::Compute::f32;
  return w.compute == "bf16" ? train::Compute::bf16 : train::Compute::bf16_past_stored;
}

train::TrainedTensorOptions tensor_options_of(const TrainingWords& w) {
  return {.weight_decay = w.weight_decay, .decay_all = w.decay_all, .lora_plus_ratio = w.lora_plus};
}

Json course_of(const TrainingWords& w, int64_t steps) {
  Json course{{"steps", steps},
              {"batch", w.batch},
              {"accumulate", w.accumulate},
              {"seq", w.sequence},
              {"no-pack", w.no_pack},
              {"no-shuffle", w.no_shuffle},
              {"seed", w.seed},
              {"lr", w.rate},
              {"min-lr", w.least_rate},
              {"schedule", w.schedule},
              {"warmup", w.warmup},
              {"decay-steps", w.decay_steps},
              {"optimizer", w.optimizer},
              {"betas", w.betas},
              {"eps", w.eps},
              {"weight-decay", w.weight_decay},
              {"decay-all", w.decay_all},
              {"clip", w.clip},
              {"lora-plus", w.lora_plus}};
  if (w.compute != "auto") course["compute"] = w.compute;
  if (w.dropout > 0) course["dropout"] = w.dropout;
  return course;
}

}  // namespace kinglet::cli
