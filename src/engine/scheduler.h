// Continuous batching: many requests share one model, one batch after the other.
//
// Each step is one ragged batch: a token of every answer under way, and beside them stretches of prompts. An answer does
// not depend on what else is in the batch (the kernels see to that), nor on where its prompt was cut, nor on whether its
// beginning came from the prefix cache: it is the one that generate() gives.
//
// A sequence is its tokens and the keys and values of the first of them. What lacks keys and values is evaluated, and when nothing
// is left to evaluate a token is chosen. Prompts, answers, sequences that gave up their pages to others, and those that grew past
// the original context of a longrope model all go through that one door.
//
// Where a request has a drafter its answer's token brings guesses along, each with its own row of logits, as many as are worth it beside the
// others of the batch (engine/speculation.h). What the sampler draws decides how many of them count; the rest is rolled back.
//
// Order: answers under way always have their token in the batch. Prompts share what room is left, the nearest to its end first,
// where each step that a prompt waits counts as a stretch evaluated: short ones pass long ones, and none waits for ever. A request
// comes out of the queue when there is room for its answers, the client with the fewest answers under way first. Prompts that
// begin alike and come at once are evaluated once: the later one waits for what the earlier one is about to evaluate.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/answer_stream.h"
#include "engine/prefix_cache.h"
#include "engine/runner.h"
#include "engine/scheduler_stats.h"
#include "engine/score.h"
#include "engine/speculation.h"

namespace kinglet {

struct SchedulerOptions {
  int64_t parallel = 8;  ///< most answers under way; at most the runner's outputs and less than its batch
  int64_t queue = 256;   ///< most requests that wait
  int64_t chunk = 192;   ///< most prompt tokens in a batch while answers are under way, so that they do not stall
  uint64_t cache_bytes = uint64_t{1} << 30;  ///< the prefix cache gives way where keys and values take more than this
  /// Asked on the scheduler's thread when memory is used up and the prefix cache is empty: whether somebody else gave some back.
  std::function<bool()> more_memory{};
};

struct AnswerToken {
  TokenId id = 0;
  std::string text;                       ///< what can be shown now, perhaps of tokens before; may be empty
  double log_probability = 0;             ///< where asked for, of the model's own distribution
  std::vector<TokenScore> most_probable;  ///< where asked for
};

struct RequestUsage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;    ///< of those, taken from the prefix cache
  int64_t answer_tokens = 0;    ///< of all choices
  int64_t guessed_tokens = 0;   ///< evaluated before they were known
  int64_t accepted_tokens = 0;  ///< of those, how many came true
  double first_seconds = 0;     ///< from submit() to the first token; 0 where there was none
  double total_seconds = 0;
};

/// Gets a request's answers, on the scheduler's thread: it must be quick, and call nothing of the scheduler's but submit().
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void on_token(int32_t choice, AnswerToken token) = 0;
  /// `rest`: text that was held back; `stop`: the stop text that ended it, where one did.
  virtual void on_finish(int32_t choice, Finish finish, std::string rest, std::string_view stop) = 0;
  /// Instead of tokens, where the request asked for it: C values, valid during the call.
  virtual void on_hidden(std::span<const float> values) { static_cast<void>(values); }
  /// The last call, once every choice is finished or the request has failed.
  virtual void on_done(const Status& status, const RequestUsage& usage) = 0;
};

struct Request {
  std::vector<TokenId> prompt;
  GenerateOptions options;   ///< choice i draws with seed + i
  int32_t choices = 1;       ///< answers to the same prompt
  int32_t top_logprobs = 0;  ///< this many most probable tokens with each token
  bool logprobs = false;     ///< each token's own log probability
  bool embed = false;        ///< no answer, but the hidden state of the prompt's last token behind the last norm
  int32_t adapter = kNone;   ///< of Model::choices(), its index
  std::string client;        ///< clients take turns
  std::shared_ptr<AnswerSink> sink;
};

/// One request on its way.
class Ticket {
 public:
  /// The request ends at the next step. Any thread, at any time.
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

class Scheduler {
 public:
  /// Starts its thread; `runner`, whose model and `tokenizer` must outlive it, is its own from now on. Errors: invalid_argument
  /// (options that do not fit the runner).
  static Result<std::unique_ptr<Scheduler>> create(Runner& runner, const Tokenizer& tokenizer,
                                                   const SchedulerOptions& options);
  ~Scheduler();

  /// Any thread. Errors, of which the sink is not told: invalid_argument, out_of_range (the prompt does not fit into the context),
  /// resource_exhausted (the queue is full), cancelled (stopped).
  Result<std::shared_ptr<Ticket>> submit(Request request);

  /// Ends all requests as cancelled and takes no more.
  void stop();

  const SchedulerOptions& options() const { return options_; }
  SchedulerStats stats() const;
  /// Seconds since the model's last sign of life while it has something to do; 0 where it has nothing to do.
  double stalled_seconds() const;

 private:
  struct Job;
  struct Sequence;
  struct Planned;
  struct Choosing;
  using Clock = std::chrono::steady_clock;

  Scheduler(Runner& runner, const Tokenizer& tokenizer, const SchedulerOptions& options);
  Status check(const Request& request) const;

  // The rest runs on the scheduler's thread.
  void work();
  bool wait_for_work();
  void publish();
  void end_all();

  // requests in and out
  void admit();
  std::shared_ptr<Job> next_job();
  void start(std::shared_ptr<Job> job);
  void drop_cancelled();
  void finish(Sequence& sequence, Finish why);
  void fail(Sequence& sequence, const Status& status);
  void end_choices(Sequence& sequence, const Status& status);
  void sweep();

  // what goes into the next batch
  void plan();
  void plan_prompts();
  void plan_guesses();
  int64_t guess_room(const Sequence& sequence) const;
  void add_part(Sequence& sequence, int64_t count);
  bool make_room(Sequence& sequence, int64_t count);
  bool preempt_younger(const Sequence& sequence);
  void adopt_prefix(Sequence& sequence);
  bool prefix_is_coming(const Sequence& sequence);

  // the batch and what comes of it
  void evaluate(std::span<const Planned> planned);
  void take_results(std::span<const Planned> planned);
  void hand_out_hidden(Sequence& sequence, int64_t row);
  void keep_fork(Sequence& sequence);
  void branch(Sequence& leader, int64_t row);
  void choose();
  void hand_out(Choosing& chosen);
  void settle(Sequence& sequence);

  Runner& runner_;
  const Tokenizer& tokenizer_;
  const SchedulerOptions options_;
  const bool windows_;  ///< some layer has one

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;  ///< under mutex_
  SchedulerStats shown_;                    ///< under mutex_
  std::atomic<bool> stopping_{false};       ///< set under mutex_
  std::atomic<int64_t> last_beat_{0};       ///< ticks of Clock; 0: nothing to do

  // The scheduler's thread alone.
  PrefixCache cache_;
  std::vector<std::unique_ptr<Sequence>> running_;  ///< the oldest first
  std::vector<Planned> batch_;
  std::vector<Choosing> choosing_;
  BatchTimes times_;  ///< of batches that have answers alone
  SchedulerStats stats_;
  std::thread thread_;
};

}  // namespace kinglet
