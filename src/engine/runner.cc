#include "engine/runner.h"

#include <algorithm>
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
  KL_TRY(runner->plan(plan_options));
  const Program program = model.program().view();
  const KvShape shape{plan_options.kv_type, program.kv_heads, program.head_width};
  runner->kv_pool_ = std::make_unique<KvPool>(shape, model.kv_windows(), model.ledger());
  return runner;
}

// Batches in which nobody has an adapter keep the plan without them, which fuses more.
Status Runner::plan(const PlanOptions& options) {
  const Program program = model_.program().view();
  const ChoiceProgram* const choices = model_.choices();
  const size_t bytes = plan_arena_bytes(program);
  plan_memory_.resize(bytes + (choices != nullptr ? plan_arena_bytes(choices->program.view()) : 0));
  const std::span<std::byte> memory = plan_memory_;
  Arena arena(memory.first(bytes));
  KL_ASSIGN(plan_, make_plan(program, model_.params(), model_.kernels(), options, arena));
  size_t workspace = plan_.workspace_bytes;
  if (choices != nullptr) {
    PlanOptions with_owners = options;
    with_owners.owners = choices->owners;
    Arena rest(memory.subspan(bytes));
    KL_ASSIGN(choice_plan_,
              make_plan(choices->program.view(), model_.choice_params(), model_.kernels(), with_owners, rest));
    workspace = std::max(workspace, choice_plan_->workspace_bytes);
  }
  KL_ASSIGN(workspace_, Block::allocate(workspace, MemoryUse::activations, model_.ledger()));
  return ok_status();
}

int64_t Runner::guess_room(int64_t length) const {
  const int64_t original = model_.original_context(), room = std::min(KvSequence::kTakeBack - 1, context() - length);
  return length <= original ? std::min(room, original - length) : room;
}

Status Runner::run(std::span<const BatchPart> parts, const KeepGoing& keep_going) {
  tokens_.clear();
  sequences_.clear();
  outputs_.clear();
  last_ = &plan_;
  for (const BatchPart& part : parts) {
    const auto first = static_cast<int32_t>(tokens_.size());
    const auto count = static_cast<int32_t>(part.tokens.size());
    if (part.kv->length() + count > context())
      return error(Code::out_of_range, "the context of {} tokens is full", context());
    if (part.adapter != kNone) {
      if (part.adapter < 0 || part.adapter >= model_.choice_count())
        return error(Code::invalid_argument, "there is no adapter {}", part.adapter);
      last_ = &*choice_plan_;
    }
    KL_TRY(part.kv->prepare(count));
    tokens_.insert(tokens_.end(), part.tokens.begin(), part.tokens.end());
    sequences_.push_back({first, count, part.kv->length(), part.kv->pages(), part.long_rope, part.adapter});
    if (part.outputs == Outputs::last) outputs_.push_back(first + count - 1);
    if (part.outputs == Outputs::all)
      for (int32_t i = 0; i < count; ++i) outputs_.push_back(first + i);
  }
  if (answered_) model_.packed().move_some(tokens_.size());
  const Watch watch{const_cast<KeepGoing*>(&keep_going), [](void* self) { return (*static_cast<KeepGoing*>(self))(); }};
  const Batch batch{
      tokens_, sequences_, outputs_, packing(), keep_going ? &watch : nullptr, &model_.packed().embedding_observer()};
  KL_TRY(forward(*last_, model_.choice_params().first(last_->program.params.size()), batch, workspace_.data(),
                 pool_.parallel()));
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
  return {output_row(*last_, workspace_.data(), last_->program.logits, i), static_cast<size_t>(model_.hyper().V)};
}

std::span<const float> Runner::hidden(int64_t i) const {
  return {output_row(*last_, workspace_.data(), last_->program.hidden, i), static_cast<size_t>(model_.hyper().C)};
}

}  // namespace kinglet
