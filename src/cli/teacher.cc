#include "cli/teacher.h"

#include "formats/json.h"
#include "host/error.h"
#include "hub/resolve.h"

namespace kinglet::cli {
namespace {

train::ParameterOptions held(const Parallel& parallel) {
  return {.trained = train::Trained::none, .frozen = train::FrozenForm::as_stored, .parallel = parallel};
}

/// Tokens must mean the same to both: cut alike, and by the same numbers.
Status check_vocabulary(const std::string& name, const Checkpoint& teacher, const ModelSpec& spec,
                        const ModelSpec& student, const Tokenizer* tokenizer) {
  if (spec.hyper.V != student.hyper.V)
    return error(Code::invalid_argument,
                 "--teacher {}: it has {} tokens and the model that learns {}; they must share a vocabulary", name,
                 spec.hyper.V, student.hyper.V);
  const auto own = Tokenizer::load(teacher);
  constexpr std::string_view kText = "In 1912 the cat's 3 kittens said: \"Déjà vu!\" for (int i = 0;;)";
  if (tokenizer == nullptr || !own.ok() || own->encode(kText) == tokenizer->encode(kText)) return ok_status();
  return error(Code::invalid_argument,
               "--teacher {}: its tokenizer cuts text into other tokens than that of the model that learns", name);
}

}  // namespace

void add_teacher(Arguments arguments, TeacherWords& words) {
  constexpr char kGroup[] = "Distillation";
  arguments
      .option("--teacher", words.models,
              "a model of the same vocabulary, mostly a larger one, whose distributions are learned too (given again: "
              "the mean of "
              "theirs)")
      .repeated()
      .group(kGroup);
  arguments.option("--distill-alpha", words.alpha, "share of the teacher in the loss; the rest is the labels'")
      .range(0.0, 1.0)
      .group(kGroup)
      .show_default();
  arguments.option("--temperature", words.temperature, "at which the two distributions are compared")
      .range(0.01, 100.0)
      .group(kGroup)
      .show_default();
}

Result<std::unique_ptr<Teacher>> Teacher::open(const TeacherWords& words, const ModelSpec& student,
                                               const Tokenizer* tokenizer) {
  std::unique_ptr<Teacher> teacher(new Teacher(words));
  for (const std::string& name : words.models) {
    KL_ASSIGN(const std::string path, hub::resolve_model(name));
    KL_ASSIGN(Checkpoint checkpoint, Checkpoint::open(path));
    auto model = std::make_unique<Model>(std::move(checkpoint));
    KL_ASSIGN(model->spec, read_model_spec(model->checkpoint));
    KL_TRY(check_vocabulary(name, model->checkpoint, model->spec, student, tokenizer));
    teacher->models_.push_back(std::move(model));
  }
  return teacher;
}

Status Teacher::count(const Parallel& parallel, int64_t batch_tokens, TrainingPlan& plan) const {
  const train::ParameterOptions options = held(parallel);
  plan.teacher = train::ensemble_bytes(models_.front()->spec.program, models_.size(), batch_tokens);
  for (const auto& model : models_) {
    const ProgramStorage& program = model->spec.program;
    KL_ASSIGN(const train::ParameterNeeds needs, train::parameter_needs(program, options, train::OptimizerKind::adamw,
                                                                        train::stored_in(model->checkpoint)));
    KL_ASSIGN(const train::WalkNeeds walk,
              train::walk_needs(program, options, {.parallel = parallel}, {batch_tokens, batch_tokens, batch_tokens}));
    plan.teacher += needs.weights + walk.bytes;
    plan.teacher_work += walk.work;
  }
  return ok_status();
}

Status Teacher::load(const Parallel& parallel, train::Compute compute, Ledger& ledger) {
  parallel_ = parallel;
  scratch_.emplace(train::EnsembleScratch{ledger});
  for (const auto& model : models_) {
    const ProgramStorage& program = model->spec.program;
    KL_ASSIGN(model->parameters, train::Parameters::load(model->checkpoint, program, held(parallel), ledger));
    KL_ASSIGN(model->graph,
              train::Graph::create(program, *model->parameters, {.parallel = parallel, .compute = compute}, ledger));
  }
  return ok_status();
}

Result<train::TeacherLogits> Teacher::lesson(const train::Batch& batch) {
  std::vector<train::TeacherLogits> lessons;
  for (const auto& model : models_) {
    KL_ASSIGN(train::TeacherLogits one, model->graph->teach(batch));
    lessons.push_back(std::move(one));
  }
  return train::ensemble(std::move(lessons),
                         {.V = models_.front()->spec.hyper.V, .temperature = words_.temperature, .parallel = parallel_},
                         *scratch_);
}

train::Passes Teacher::passes(train::Graph& student) {
  train::Passes passes = train::passes_of(student);
  passes.backward = [this, &student](const train::Batch& batch, double weight) -> Result<train::Loss> {
    KL_ASSIGN(const train::TeacherLogits logits, lesson(batch));
    const train::Distillation distillation{.temperature = words_.temperature,
                                           .weight = weight * words_.alpha,
                                           .label_weight = weight * (1 - words_.alpha)};
    KL_ASSIGN(const train::DistilledLoss loss, student.backward_distilled(batch, distillation, logits));
    const double squared = words_.temperature * words_.temperature;
    return train::Loss{(1 - words_.alpha) * loss.labels.sum + words_.alpha * squared * loss.divergence,
                       loss.labels.count};
  };
  return passes;
}

Json Teacher::course() const {
  return {{"models", words_.models}, {"alpha", words_.alpha}, {"temperature", words_.temperature}};
}

}  // namespace kinglet::cli
