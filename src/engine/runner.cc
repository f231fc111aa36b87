#include "engine/runner.h"

#include <cmath>

#include "host/error.h"

namespace kinglet {

Result<PlanOptions> Runner::plan_options(const Model& model, const RunnerOptions& options, int threads) {
  const int64_t context = options.context > 0 ? options.context : model.hyper().context;
  if (context > (int64_t{1} << 30))
    return error(Code::invalid_argument, "a context of {} tokens is too long; choose a shorter one", context);
  return PlanOptions{.max_tokens = options.batch_tokens,
                     .max_outputs = std::min(options.outputs, options.batch_tokens),
                     .max_context = context,
                     .workers = threads,
                     .fusion = options.fusion,
                     .kv_type = options.kv_type.value_or(model.default_kv_type()),
                     .few_tokens = options.few_tokens};
}

Result<std::unique_ptr<Runner>> Runner::create(const Model& model, const RunnerOptions& options) {
  const int threads = options.threads > 0 ? options.threads : ThreadPool::available();
  KL_ASSIGN(const PlanOptions plan_options, Runner::plan_options(model, options, threads));
  std::unique_ptr<Runner> runner(new Runner(model, threads));
  const Program program = model.program().view();
  runner->plan_memory_.resize(plan_arena_bytes(program));
  Arena arena(runner->plan_memory_);
  KL_ASSIGN(runner->plan_, make_plan(program, model.params(), model.kernels(), plan_options, arena));
  KL_ASSIGN(runner->workspace_, Block::allocate(runner->plan_.workspace_bytes, MemoryUse::activations, model.ledger()));
  const KvShape shape{plan_options.kv_type, program.kv_heads, program.head_width};
  runner->kv_pool_ = std::make_unique<KvPool>(shape, model.kv_windows(), model.ledger());
  return runner;
}

Status Runner::run(std::span<const BatchPart> parts, const KeepGoing& keep_going) {
  if (answered_) model_.packed().move_some();
  tokens_.clear();
  sequences_.clear();
  outputs_.clear();
  for (const BatchPart& part : parts) {
    const auto first = static_cast<int32_t>(tokens_.size());
    const auto count = static_cast<int32_t>(part.tokens.size());
    if (part.kv->length() + count > context())
      return error(Code::out_of_range, "the context of {} tokens is full", context());
    KL_TRY(part.kv->prepare(count));
    tokens_.insert(tokens_.end(), part.tokens.begin(), part.tokens.end());
    sequences_.push_back({first, count, part.kv->length(), part.kv->pages(), part.long_rope});
    if (part.outputs == Outputs::last) outputs_.push_back(first + count - 1);
    if (part.outputs == Outputs::all)
      for (int32_t i = 0; i < count; ++i) outputs_.push_back(first + i);
  }
  const Watch watch{const_cast<KeepGoing*>(&keep_going), [](void* self) { return (*static_cast<KeepGoing*>(self))(); }};
  const Batch batch{tokens_, sequences_, outputs_, packing(), keep_going ? &watch : nullptr};
  KL_TRY(forward(plan_, model_.params(), batch, workspace_.data(), pool_.parallel()));
  model_.packed().tokens_embedded(tokens_.size());
  KL_TRY(check_finite(static_cast<int64_t>(outputs_.size())));
  for (const BatchPart& part : parts) part.kv->commit(static_cast<int64_t>(part.tokens.size()));
  answered_ = true;
  return ok_status();
}

// The first batch does not keep what it packs where it has few tokens: getting and clearing memory for all weights would take longer than
// the batch itself, and somebody waits for the first token.
const PackingObserver* Runner::packing() const {
  constexpr size_t kFewTokens = 8;
  return !answered_ && tokens_.size() <= kFewTokens ? nullptr : &model_.packed().observer();
}

// Broken weights (or a bug) show as logits that are not numbers; an answer sampled from them would be worthless.
Status Runner::check_finite(int64_t outputs) const {
  for (int64_t i = 0; i < outputs; ++i) {
    float sum = 0;
    for (float x : logits(i)) sum += x * 0.0f;
    if (!(sum == 0.0f))
      return error(Code::corrupt, "the model computes logits that are not finite: its weights are damaged");
  }
  return ok_status();
}

std::span<const float> Runner::logits(int64_t i) const {
  return {output_row(plan_, workspace_.data(), plan_.program.logits, i), static_cast<size_t>(model_.hyper().V)};
}

std::span<const float> Runner::hidden(int64_t i) const {
  return {output_row(plan_, workspace_.data(), plan_.program.hidden, i), static_cast<size_t>(model_.hyper().C)};
}

}  // namespace kinglet
