// Runs a model's plan on batches: the plan, its workspace, the threads and the key-value pages.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/kv_cache.h"
#include "engine/model.h"
#include "host/threads.h"

namespace kinglet {

struct RunnerOptions {
  int threads = 0;             ///< 0: one for each processor
  int64_t context = 0;         ///< longest sequence; 0: what the model was made for
  int64_t batch_tokens = 512;  ///< largest batch; longer prompts are cut
  int64_t outputs = 1;         ///< most rows of logits in a batch
  Fusion fusion = Fusion::on;
  std::optional<DType> kv_type;
  int64_t few_tokens = 0;  ///< MatmulArgs::few: how batches of a few tokens are multiplied; 0: the kernels' own choice
};

/// Which rows of a part give logits.
enum class Outputs : uint8_t { none, last, all };

/// A stretch of one sequence to evaluate: its tokens are appended to `kv`.
struct BatchPart {
  KvSequence* kv = nullptr;
  std::span<const TokenId> tokens;
  Outputs outputs = Outputs::last;
  bool long_rope = false;
  int32_t adapter = kNone;  ///< of Model::choices(), its index
};

class Runner {
 public:
  /// `model` must outlive it. Errors: resource_exhausted by the model's ledger, with the breakdown.
  static Result<std::unique_ptr<Runner>> create(const Model& model, const RunnerOptions& options);
  /// What create() plans for. Errors: invalid_argument (a context that is too long).
  static Result<PlanOptions> plan_options(const Model& model, const RunnerOptions& options, int threads);

  const Model& model() const { return model_; }
  const Plan& plan() const { return plan_; }
  int threads() const { return pool_.threads(); }
  int64_t context() const { return plan_.options.max_context; }
  /// How many tokens may be guessed behind a sequence of `length` tokens, the last of them not evaluated: what can be taken back and the
  /// context has room for, and no guess changes what factors the rope has. Negative where the sequence is too long itself.
  int64_t guess_room(int64_t length) const;
  int64_t batch_tokens() const { return plan_.options.max_tokens; }
  KvPool& kv_pool() { return *kv_pool_; }
  Parallel parallel() { return pool_.parallel(); }  ///< the runner's threads, for what is done with logits
  KvSequence new_sequence() { return KvSequence(*kv_pool_); }

  /// Asked again and again while a batch runs, many times a second even with a large model; false ends it.
  using KeepGoing = std::function<bool()>;
  /// Evaluates one batch. Logits of the asked rows follow each other in the order of the parts. Errors: out_of_range (context, tokens),
  /// resource_exhausted, corrupt where a logit is not a number, cancelled. On an error no sequence has grown.
  Status run(std::span<const BatchPart> parts, const KeepGoing& keep_going = {});
  /// Row `i` of the last batch's outputs: V logits, until the next run().
  std::span<const float> logits(int64_t i) const;
  /// What the output head read for that row: C values behind the last norm, until the next run().
  std::span<const float> hidden(int64_t i) const;

 private:
  Runner(const Model& model, int threads) : model_(model), pool_(threads) {}
  Status plan(const PlanOptions& options);
  Status check_finite(int64_t outputs) const;
  const PackingObserver* packing() const;

  const Model& model_;
  ThreadPool pool_;
  std::vector<std::byte> plan_memory_;
  Plan plan_;
  std::optional<Plan> choice_plan_;  ///< of Model::choices()
  const Plan* last_ = &plan_;        ///< that the last batch ran on
  Block workspace_;
  std::unique_ptr<KvPool> kv_pool_;
  // Reused from batch to batch.
  std::vector<TokenId> tokens_;
  std::vector<BatchSequence> sequences_;
  std::vector<int32_t> outputs_;
  bool answered_ = false;  ///< a batch has been run
};

}  // namespace kinglet
