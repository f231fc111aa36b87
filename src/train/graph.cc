#include "train/graph.h"

#include <cmath>
#include <map>
#include <optional>

#include "host/error.h"
#include "train/reserve.h"
#include "train/walk.h"

namespace kinglet::train {
namespace {

Status check(const Program& program, const Batch& batch) {
  const int64_t T = batch.size();
  if (T == 0 || batch.sequences() < 1) return Status(Code::out_of_range, "an empty batch");
  if (batch.positions.size() != batch.tokens.size() || batch.targets.size() != batch.tokens.size() ||
      batch.starts[0] != 0 || batch.starts.back() != T)
    return Status(Code::out_of_range, "the parts of a batch differ in length");
  if (!batch.noise.empty() && static_cast<int64_t>(batch.noise.size()) != batch.sequences())
    return Status(Code::out_of_range, "a batch has noise for each of its sequences or for none");
  for (size_t b = 0; b + 1 < batch.starts.size(); ++b) {
    if (batch.starts[b + 1] <= batch.starts[b] || batch.starts[b + 1] > T)
      return Status(Code::out_of_range, "sequences must cover the batch in order");
    for (int32_t i = batch.starts[b]; i < batch.starts[b + 1]; ++i)
      if (batch.positions[static_cast<size_t>(i)] != i - batch.starts[b])
        return Status(Code::out_of_range, "positions must count from the start of each sequence");
  }
  int64_t V = program.slots[static_cast<size_t>(program.logits)].width;
  for (int32_t id : batch.targets)
    if (id != kIgnore && (id < 0 || id >= V))
      return error(Code::out_of_range, "target {} is outside the vocabulary of {}", id, V);
  for (const Step& s : program.steps)
    if (s.op == Op::embed) V = std::min(V, program.params[static_cast<size_t>(s.weight)].shape[0]);
  for (int32_t id : batch.tokens)
    if (id < 0 || id >= V) return error(Code::out_of_range, "token {} is outside the vocabulary of {}", id, V);
  return ok_status();
}

/// Rows that count for the loss.
std::vector<int32_t> output_rows(const Batch& batch) {
  std::vector<int32_t> rows;
  for (size_t i = 0; i < batch.targets.size(); ++i)
    if (batch.targets[i] != kIgnore) rows.push_back(static_cast<int32_t>(i));
  return rows;
}

}  // namespace

struct Graph::Impl {
  WalkTools tools;
  Tape tapes[2];  ///< forward only; with backward
  Placement placements[2];
  Extents placed[2];
  Block arena, distillation;
  Ledger* ledger = nullptr;

  Status reserve(Block& block, int64_t floats) {
    return train::reserve(block, static_cast<uint64_t>(floats) * sizeof(float), *ledger);
  }

  /// A batch ready to be walked.
  Result<Walk> begin(const Batch& batch, std::span<const int32_t> outputs, bool backward) {
    KL_TRY(check(tools.program, batch));
    const size_t which = backward ? 1 : 0;
    const Extents extents = extents_of(tools.program, batch.size(), static_cast<int64_t>(outputs.size()));
    if (!(placed[which] == extents)) {
      placements[which] = place_buffers(tapes[which], extents);
      placed[which] = extents;
    }
    KL_TRY(reserve(arena, placements[which].floats));
    int64_t scratch = 0;
    for (const Step& s : tools.program.steps) {
      if (s.op == Op::linear && tools.products.reads((*tools.parameters)[s.weight]) != ActKind::f32)
        KL_TRY(tools.products.reserve(batch.size(), tools.program.params[static_cast<size_t>(s.weight)].shape[1]));
      if (s.op == Op::attention)
        scratch = std::max(
            scratch, AttentionWalk::scratch_floats(*tools.gradients, s.attr, batch.starts, tools.parallel.workers));
    }
    KL_TRY(reserve(tools.attention, scratch));
    tools.ropes.prepare(tools.program, batch, tools.parallel);
    tools.norms.update(*tools.parameters, tools.products, tools.parallel);
    Walk walk{.tools = tools,
              .tape = tapes[which],
              .placement = placements[which],
              .arena = reinterpret_cast<float*>(arena.data()),
              .batch = batch,
              .outputs = outputs,
              .extents = extents};
    walk.row_losses.assign(outputs.size(), 0.0);
    walk.row_weights.assign(outputs.size(), 0.0f);
    walk.chunk_rows = extents.outputs;
    return walk;
  }
};

void Graph::on_gradient(std::function<void(ParamId)> told) {
  WalkTools& tools = impl_->tools;
  const Tape& tape = impl_->tapes[1];
  std::map<ParamId, size_t> last;
  for (size_t a = 0; a < tape.actions.size(); ++a) {
    if (tape.actions[a].kind != Action::Kind::backward) continue;
    const Step& s = tools.program.steps[static_cast<size_t>(tape.actions[a].step)];
    for (const ParamId p : {s.weight, s.bias})
      if (p != kNone && (*tools.parameters)[p].trained()) last[p] = std::max(a, static_cast<size_t>(tape.head_end) - 1);
  }
  tools.finished.assign(tape.actions.size(), {});
  for (const auto& [p, action] : last) tools.finished[action].push_back(p);
  tools.told = std::move(told);
}

Graph::Graph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
Graph::~Graph() = default;

Result<Graph> Graph::create(const ProgramStorage& program, Parameters& parameters, const GraphOptions& options,
                            Ledger& ledger) {
  auto impl = std::make_unique<Impl>();
  WalkTools& tools = impl->tools;
  tools.program = program.view();
  tools.parameters = &parameters;
  tools.kernels = find_kernels(options.kernels.c_str());
  if (tools.kernels == nullptr)
    return error(Code::invalid_argument, "no kernels named '{}' on this processor", options.kernels);
  if (parameters.all().size() != program.params.size())
    return Status(Code::invalid_argument, "the parameters are of another program");
  for (const Parameter& p : parameters.all())
    if (p.panels != nullptr && std::string_view(p.packing) != tools.kernels->packing)
      return error(Code::invalid_argument, "{} is packed for other kernels than '{}'", p.name, tools.kernels->name);
  tools.gradients = &gradient_kernels(*tools.kernels);
  tools.parallel = options.parallel;
  KL_ASSIGN(tools.products,
            Products::create(*tools.kernels, *tools.gradients, options.parallel, ledger, options.compute));
  KL_ASSIGN(tools.dropout, Dropout::create(options.dropout));
  impl->ledger = &ledger;
  tools.norms = RowNorms(program, parameters, tools.products, options.parallel);
  std::vector<uint8_t> trained;
  for (const Parameter& p : parameters.all()) trained.push_back(p.trained() ? 1 : 0);
  KL_ASSIGN(impl->tapes[0], make_tape(tools.program, trained, {.backward = false}));
  KL_ASSIGN(impl->tapes[1], make_tape(tools.program, trained,
                                      {.dropout = tools.dropout.any(), .checkpointing = options.checkpointing}));
  return Graph(std::move(impl));
}

void Walk::run(const Action& action, Head which) {
  switch (action.kind) {
    case Action::Kind::forward:
      return run_forward(action);
    case Action::Kind::loss:
      return run_loss(action, which);
    case Action::Kind::backward:
      if (which == Head::backward) run_backward(action);
  }
}

void Walk::forward() {
  for (int32_t a = 0; a < tape.head_begin; ++a) run(tape.actions[static_cast<size_t>(a)], Head::loss_only);
}

Status Walk::head(Head which) {
  for (int64_t first = 0; first < extents.outputs; first += extents.chunk) {
    chunk_first = first;
    chunk_rows = std::min(extents.chunk, extents.outputs - first);
    if (distillation != nullptr) KL_TRY((*distillation->ask)(chunk_first, chunk_rows, distillation->teacher));
    for (int32_t a = tape.head_begin; a < tape.head_end; ++a) run(tape.actions[static_cast<size_t>(a)], which);
  }
  chunk_first = 0;
  chunk_rows = extents.outputs;
  return ok_status();
}

void Walk::head_logits(const std::function<void(int64_t row, const float* logits)>& take) {
  const int64_t V = width(tools.program.logits);
  for (int32_t a = tape.head_begin; a < tape.head_end; ++a) {
    const Action& action = tape.actions[static_cast<size_t>(a)];
    if (action.kind == Action::Kind::forward) run_forward(action);
    if (action.kind != Action::Kind::loss) continue;
    const Matrix logits = matrix(action.out, V);
    for (int64_t i = 0; i < logits.rows; ++i) take(i, logits.row(i));
  }
}

void Walk::tell(size_t action) const {
  if (!tools.told) return;
  for (const ParamId p : tools.finished[action]) tools.told(p);
}

void Walk::backward() {
  tell(static_cast<size_t>(tape.head_end) - 1);
  for (size_t a = static_cast<size_t>(tape.head_end); a < tape.actions.size(); ++a)
    run(tape.actions[a], Head::backward), tell(a);
}

namespace {

Loss loss_of(const Walk& walk) {
  Loss loss{.count = walk.extents.outputs};
  for (double x : walk.row_losses) loss.sum += x;
  return loss;
}

/// The sequence of each output row, and the sums of the sequences' log probabilities.
std::vector<double> sequence_sums(const Walk& walk) {
  std::vector<double> sums(static_cast<size_t>(walk.batch.sequences()), 0.0);
  size_t b = 0;
  for (size_t i = 0; i < walk.outputs.size(); ++i) {
    while (walk.outputs[i] >= walk.batch.starts[b + 1]) ++b;
    sums[b] -= walk.row_losses[i];
  }
  return sums;
}

}  // namespace

Result<Loss> Graph::backward(const Batch& batch, double weight) {
  const std::vector<int32_t> outputs = output_rows(batch);
  KL_ASSIGN(Walk walk, impl_->begin(batch, outputs, true));
  if (outputs.empty()) return Loss{};
  std::fill(walk.row_weights.begin(), walk.row_weights.end(), static_cast<float>(weight));
  walk.forward();
  KL_TRY(walk.head(Walk::Head::backward));
  walk.backward();
  return loss_of(walk);
}

Result<Loss> Graph::evaluate(const Batch& batch) {
  const std::vector<int32_t> outputs = output_rows(batch);
  KL_ASSIGN(Walk walk, impl_->begin(batch, outputs, false));
  walk.forward();
  KL_TRY(walk.head(Walk::Head::loss_only));
  return loss_of(walk);
}

Result<std::vector<double>> Graph::sequence_log_probs(const Batch& batch) {
  const std::vector<int32_t> outputs = output_rows(batch);
  KL_ASSIGN(Walk walk, impl_->begin(batch, outputs, false));
  walk.forward();
  KL_TRY(walk.head(Walk::Head::loss_only));
  return sequence_sums(walk);
}

Result<double> Graph::backward_sequences(const Batch& batch, const SequenceLoss& loss, std::vector<double>* log_probs) {
  const std::vector<int32_t> outputs = output_rows(batch);
  KL_ASSIGN(Walk walk, impl_->begin(batch, outputs, true));
  walk.forward();
  KL_TRY(walk.head(Walk::Head::loss_only));
  const std::vector<double> sums = sequence_sums(walk);
  std::vector<double> weights(sums.size(), 0.0);
  const double value = loss(sums, weights);
  if (log_probs != nullptr) *log_probs = sums;
  size_t b = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    while (outputs[i] >= batch.starts[b + 1]) ++b;
    walk.row_weights[i] = static_cast<float>(-weights[b]);
  }
  KL_TRY(walk.head(Walk::Head::backward));
  walk.backward();
  return value;
}

Result<DistilledLoss> Graph::backward_distilled(const Batch& batch, const Distillation& distillation,
                                                const TeacherLogits& teacher) {
  if (!(distillation.temperature > 0) || !std::isfinite(distillation.temperature))
    return error(Code::out_of_range, "a temperature of {}", distillation.temperature);
  const std::vector<int32_t> outputs = output_rows(batch);
  KL_ASSIGN(Walk walk, impl_->begin(batch, outputs, true));
  if (outputs.empty()) return DistilledLoss{};
  const int64_t V = walk.width(impl_->tools.program.logits);
  const int64_t chunk = round_up<int64_t>(walk.extents.chunk * V, 16);
  KL_TRY(impl_->reserve(impl_->distillation, chunk + 2 * V * impl_->tools.parallel.workers));
  auto* floats = reinterpret_cast<float*>(impl_->distillation.data());
  DistillationWalk own{.temperature = distillation.temperature,
                       .weight = distillation.weight,
                       .ask = &teacher,
                       .teacher = floats,
                       .scratch = floats + chunk,
                       .V = V};
  own.divergences.assign(outputs.size(), 0.0);
  walk.distillation = &own;
  std::fill(walk.row_weights.begin(), walk.row_weights.end(), static_cast<float>(distillation.label_weight));
  walk.forward();
  KL_TRY(walk.head(Walk::Head::backward));
  walk.backward();
  DistilledLoss out{.labels = loss_of(walk)};
  for (const double x : own.divergences) out.divergence += x;
  return out;
}

Result<TeacherLogits> Graph::teach(const Batch& batch) {
  struct Lesson {
    std::vector<int32_t> outputs;
    std::optional<Walk> walk;
  };
  const auto lesson = std::make_shared<Lesson>();
  lesson->outputs = output_rows(batch);
  KL_ASSIGN(Walk begun, impl_->begin(batch, lesson->outputs, false));
  lesson->walk.emplace(std::move(begun));
  lesson->walk->forward();
  return TeacherLogits([lesson](int64_t first, int64_t rows, float* logits) -> Status {
    Walk& walk = *lesson->walk;
    if (first < 0 || rows < 0 || first + rows > walk.extents.outputs)
      return Status(Code::out_of_range, "a teacher is asked for rows that it was not taught");
    const int64_t V = walk.width(walk.tools.program.logits);
    for (int64_t done = 0; done < rows; done += walk.chunk_rows) {
      walk.chunk_first = first + done;
      walk.chunk_rows = std::min(walk.extents.chunk, rows - done);
      walk.head_logits([&](int64_t row, const float* values) { std::copy_n(values, V, logits + (done + row) * V); });
    }
    return ok_status();
  });
}

Result<std::vector<float>> Graph::logits(const Batch& batch) {
  Batch all = batch;  // every row is an output
  std::fill(all.targets.begin(), all.targets.end(), 0);
  const std::vector<int32_t> outputs = output_rows(all);
  KL_ASSIGN(Walk walk, impl_->begin(all, outputs, false));
  walk.forward();
  const int64_t V = walk.width(impl_->tools.program.logits);
  std::vector<float> out;
  for (walk.chunk_first = 0; walk.chunk_first < walk.extents.outputs; walk.chunk_first += walk.extents.chunk) {
    walk.chunk_rows = std::min(walk.extents.chunk, walk.extents.outputs - walk.chunk_first);
    walk.head_logits([&](int64_t, const float* row) { out.insert(out.end(), row, row + V); });
  }
  return out;
}

}  // namespace kinglet::train
