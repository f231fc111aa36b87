#include "engine/memory_needs.h"

namespace kinglet {

Result<MemoryNeeds> memory_needs(const Model& model, const RunnerOptions& options) {
  const int threads = options.threads > 0 ? options.threads : ThreadPool::available();
  KL_ASSIGN(const PlanOptions plan_options, Runner::plan_options(model, options, threads));
  const Program program = model.program().view();
  std::vector<std::byte> memory(plan_arena_bytes(program));
  Arena arena(memory);
  KL_ASSIGN(const Plan plan, make_plan(program, model.params(), model.kernels(), plan_options, arena));
  const KvPool pool({plan_options.kv_type, program.kv_heads, program.head_width}, model.kv_windows(), model.ledger());
  return MemoryNeeds{.weights = model.ledger().used(MemoryUse::weights),
                     .packed_weights = model.ledger().used(MemoryUse::packed_weights),
                     .key_values = pool.bytes_for(plan_options.max_context, plan_options.max_tokens),
                     .activations = plan.workspace_bytes};
}

}  // namespace kinglet
