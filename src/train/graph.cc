#include "train/graph.h"

#include <cmath>

#include "host/error.h"
#include "train/walk.h"

namespace kinglet::train {
namespace {

// Floats of logits that are held at once.
constexpr int64_t kHeadFloats = int64_t{24} << 20;
constexpr int64_t kMostHeadRows = 512;

/// Rows of a chunk of the head, all of about one size.
int64_t head_rows(int64_t outputs, int64_t V) {
  const int64_t most = std::clamp<int64_t>(kHeadFloats / V, 16, kMostHeadRows);
  return outputs == 0 ? 0 : ceil_div(outputs, ceil_div(outputs, most));
}

Status check(const Program& program, const Batch& batch) {
  const int64_t T = batch.size();
  if (T == 0 || batch.sequences() < 1) return Status(Code::out_of_range, "an empty batch");
  if (batch.positions.size() != batch.tokens.size() || batch.targets.size() != batch.tokens.size() ||
      batch.starts[0] != 0 || batch.starts.back() != T)
    return Status(Code::out_of_range, "the parts of a batch differ in length");
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
  Block arena;
  Ledger* ledger = nullptr;

  Extents extents_of(int64_t T, int64_t R) const {
    return {T, R, head_rows(R, tools.program.slots[static_cast<size_t>(tools.program.logits)].width)};
  }
  Status reserve(Block& block, int64_t floats) {
    const auto bytes = static_cast<uint64_t>(floats) * sizeof(float);
    if (block.size() >= bytes) return ok_status();
    block = Block();  // first give back, then take
    KL_ASSIGN(block, Block::allocate(bytes, MemoryUse::activations, *ledger));
    return ok_status();
  }

  /// A batch ready to be walked.
  Result<Walk> begin(const Batch& batch, std::span<const int32_t> outputs, bool backward) {
    KL_TRY(check(tools.program, batch));
    const size_t which = backward ? 1 : 0;
    const Extents extents = extents_of(batch.size(), static_cast<int64_t>(outputs.size()));
    if (!(placed[which] == extents)) {
      placements[which] = place_buffers(tapes[which], extents);
      placed[which] = extents;
    }
    KL_TRY(reserve(arena, placements[which].floats));
    int64_t scratch = 0;
    for (const Step& s : tools.program.steps) {
      if (s.op == Op::linear && tools.products.reads_int8((*tools.parameters)[s.weight]))
        KL_TRY(tools.products.reserve(batch.size(), tools.program.params[static_cast<size_t>(s.weight)].shape[1]));
      if (s.op == Op::attention)
        scratch = std::max(
            scratch, AttentionWalk::scratch_floats(*tools.gradients, s.attr, batch.starts, tools.parallel.workers));
    }
    KL_TRY(reserve(tools.attention, scratch));
    tools.ropes.prepare(tools.program, batch, tools.parallel);
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
  tools.gradients = &gradient_kernels(tools.kernels->name);
  tools.parallel = options.parallel;
  KL_ASSIGN(tools.products, Products::create(*tools.kernels, *tools.gradients, options.parallel, ledger));
  impl->ledger = &ledger;
  std::vector<uint8_t> trained;
  for (const Parameter& p : parameters.all()) trained.push_back(p.trained() ? 1 : 0);
  KL_ASSIGN(impl->tapes[0], make_tape(tools.program, trained, {.backward = false}));
  KL_ASSIGN(impl->tapes[1],
            make_tape(tools.program, trained, {.recompute_layers = options.checkpointing == Checkpointing::layers}));
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

void Walk::head(Head which) {
  for (int64_t first = 0; first < extents.outputs; first += extents.chunk) {
    chunk_first = first;
    chunk_rows = std::min(extents.chunk, extents.outputs - first);
    for (int32_t a = tape.head_begin; a < tape.head_end; ++a) run(tape.actions[static_cast<size_t>(a)], which);
  }
  chunk_first = 0;
  chunk_rows = extents.outputs;
}

void Walk::backward() {
  for (size_t a = static_cast<size_t>(tape.head_end); a < tape.actions.size(); ++a)
    run(tape.actions[a], Head::backward);
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
  walk.head(Walk::Head::backward);
  walk.backward();
  return loss_of(walk);
}

Result<Loss> Graph::evaluate(const Batch& batch) {
  const std::vector<int32_t> outputs = output_rows(batch);
  KL_ASSIGN(Walk walk, impl_->begin(batch, outputs, false));
  walk.forward();
  walk.head(Walk::Head::loss_only);
  return loss_of(walk);
}

Result<std::vector<double>> Graph::sequence_log_probs(const Batch& batch) {
  const std::vector<int32_t> outputs = output_rows(batch);
  KL_ASSIGN(Walk walk, impl_->begin(batch, outputs, false));
  walk.forward();
  walk.head(Walk::Head::loss_only);
  return sequence_sums(walk);
}

Result<double> Graph::backward_sequences(const Batch& batch, const SequenceLoss& loss, std::vector<double>* log_probs) {
  const std::vector<int32_t> outputs = output_rows(batch);
  KL_ASSIGN(Walk walk, impl_->begin(batch, outputs, true));
  walk.forward();
  walk.head(Walk::Head::loss_only);
  const std::vector<double> sums = sequence_sums(walk);
  std::vector<double> weights(sums.size(), 0.0);
  const double value = loss(sums, weights);
  if (log_probs != nullptr) *log_probs = sums;
  size_t b = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    while (outputs[i] >= batch.starts[b + 1]) ++b;
    walk.row_weights[i] = static_cast<float>(-weights[b]);
  }
  walk.head(Walk::Head::backward);
  walk.backward();
  return value;
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
    for (int32_t a = walk.tape.head_begin; a < walk.tape.head_end; ++a) {
      const Action& action = walk.tape.actions[static_cast<size_t>(a)];
      if (action.kind == Action::Kind::forward) walk.run_forward(action);
      if (action.kind != Action::Kind::loss) continue;
      const Matrix logits = walk.matrix(action.out, V);
      for (int64_t i = 0; i < logits.rows; ++i) out.insert(out.end(), logits.row(i), logits.row(i) + V);
    }
  }
  return out;
}

uint64_t Graph::activation_bytes(int64_t T, int64_t R) const {
  const WalkTools& tools = impl_->tools;
  const int32_t whole[] = {0, static_cast<int32_t>(T)};  // the borders of one sequence
  int64_t scratch = 0;
  for (const Step& s : tools.program.steps)
    if (s.op == Op::attention)
      scratch =
          std::max(scratch, AttentionWalk::scratch_floats(*tools.gradients, s.attr, whole, tools.parallel.workers));
  const int64_t floats = place_buffers(impl_->tapes[1], impl_->extents_of(T, R)).floats + scratch;
  return static_cast<uint64_t>(floats) * sizeof(float) + tools.products.bytes();
}

}  // namespace kinglet::train
