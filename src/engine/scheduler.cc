#include "engine/scheduler.h"

#include <algorithm>
#include <set>

#include "host/error.h"

namespace kinglet {
namespace {

// A prompt waits for a beginning that another one is about to evaluate where that saves it this many tokens.
constexpr int64_t kWorthWaiting = 32;

double seconds(std::chrono::steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

struct Scheduler::Job {
  Request request;
  std::shared_ptr<Ticket> ticket = std::make_shared<Ticket>();
  Clock::time_point arrival = Clock::now();
  RequestUsage usage;
  int32_t open = 0;  ///< choices that have not ended
  Status status;     ///< the first thing that went wrong
};

struct Scheduler::Sequence {
  std::shared_ptr<Job> job;
  int32_t choice = 0;
  int32_t stands_for = 1;       ///< choices: all of them until the prompt is evaluated
  std::vector<TokenId> tokens;  ///< prompt and answer
  KvSequence kv;                ///< of the first tokens
  AnswerStream stream;
  KvKind kind;
  bool parked = false;  ///< gave up its pages, and waits until others have ended
  bool done = false;
  int64_t waited = 0;            ///< steps without a place in the batch
  std::set<int64_t> forks_at{};  ///< lengths at which the prefix cache gets a fork
  Clock::time_point last_token{};
  std::unique_ptr<Drafter> drafter{};  ///< null: nothing is guessed
  GuessRecord record{};
  int trust = Drafter::kNoIdea;
  std::vector<TokenId> ahead{};  ///< of the next batch: the last token, and guesses of what follows it; or nothing
  int64_t came = 0;              ///< of those guesses

  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t pending() const { return length() - kv.length(); }
  std::span<const TokenId> held() const { return std::span(tokens).first(static_cast<size_t>(kv.length())); }
  int64_t guesses() const { return ahead.empty() ? 0 : static_cast<int64_t>(ahead.size()) - 1; }
  /// One token lacks keys and values, and what follows it is chosen next.
  bool answers() const { return stream.tokens() > 0 && pending() == 1; }
  /// What of it another sequence's keys and values can serve for: the last token is evaluated for its logits.
  std::span<const TokenId> prefix() const { return std::span(tokens).first(tokens.size() - 1); }
};

struct Scheduler::Planned {
  Sequence* sequence;
  int64_t count;
  int64_t end() const { return sequence->kv.length() + count; }
  bool answers() const { return sequence->answers(); }
  BatchPart part() const {
    Sequence& s = *sequence;
    if (!s.ahead.empty()) return {&s.kv, s.ahead, Outputs::all, s.kind.long_rope, s.kind.adapter};
    const auto tokens =
        std::span<const TokenId>(s.tokens).subspan(static_cast<size_t>(s.kv.length()), static_cast<size_t>(count));
    const Outputs outputs = end() == s.length() ? Outputs::last : Outputs::none;
    return {&s.kv, tokens, outputs, s.kind.long_rope, s.kind.adapter};
  }
};

struct Scheduler::Choosing {
  Sequence* sequence;
  int64_t row;       ///< of the logits
  size_t guess = 1;  ///< place in `ahead` of what was guessed for this token
  bool came_true = false;
  AnswerToken token{};
  Status status{};
};

Scheduler::Scheduler(Runner& runner, const Tokenizer& tokenizer, const SchedulerOptions& options)
    : runner_(runner),
      tokenizer_(tokenizer),
      options_(options),
      windows_(std::ranges::any_of(runner.kv_pool().windows(), [](int32_t window) { return window > 0; })),
      cache_(runner.kv_pool(), options.cache_bytes) {}

Result<std::unique_ptr<Scheduler>> Scheduler::create(Runner& runner, const Tokenizer& tokenizer,
                                                     const SchedulerOptions& options) {
  const int64_t outputs = runner.plan().options.max_outputs;
  if (options.parallel < 1 || options.parallel > outputs || options.parallel >= runner.batch_tokens()) {
    return error(Code::invalid_argument, "{} answers at once do not fit a batch of {} tokens and {} outputs",
                 options.parallel, runner.batch_tokens(), outputs);
  }
  if (options.chunk < 1 || options.queue < 1) {
    return Status(Code::invalid_argument, "the chunk and the queue must have room for one at least");
  }
  std::unique_ptr<Scheduler> scheduler(new Scheduler(runner, tokenizer, options));
  scheduler->thread_ = std::thread([s = scheduler.get()] { s->work(); });
  return scheduler;
}

Scheduler::~Scheduler() { stop(); }

void Scheduler::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status Scheduler::check(const Request& request) const {
  const auto size = static_cast<int64_t>(request.prompt.size());
  const int64_t vocab_size = runner_.model().hyper().V;
  if (size == 0) return Status(Code::invalid_argument, "the prompt is empty");
  if (size > runner_.context()) {
    return error(Code::out_of_range, "the prompt of {} tokens does not fit into the context of {}", size,
                 runner_.context());
  }
  for (const TokenId id : request.prompt) {
    if (id < 0 || id >= vocab_size) {
      return error(Code::invalid_argument, "the prompt names token {}; the vocabulary has {}", id, vocab_size);
    }
  }
  if (request.choices < 1 || request.choices > options_.parallel) {
    return error(Code::invalid_argument, "{} choices; this server makes 1 to {} at once", request.choices,
                 options_.parallel);
  }
  if (request.embed && request.choices != 1) return Status(Code::invalid_argument, "a hidden state is there once");
  if (request.adapter != kNone && (request.adapter < 0 || request.adapter >= runner_.model().choice_count())) {
    return error(Code::invalid_argument, "there is no adapter {}", request.adapter);
  }
  return AnswerStream::create(tokenizer_, request.options, vocab_size).status();
}

Result<std::shared_ptr<Ticket>> Scheduler::submit(Request request) {
  KL_TRY(check(request));
  auto job = std::make_shared<Job>();
  job->open = request.choices;
  job->usage.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  job->request = std::move(request);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return Status(Code::cancelled, "the server is shutting down");
    if (static_cast<int64_t>(queue_.size()) >= options_.queue) {
      ++shown_.refused;
      return error(Code::resource_exhausted, "{} requests are waiting already; try again later", queue_.size());
    }
    queue_.push_back(job);
    shown_.waiting = static_cast<int64_t>(queue_.size());
  }
  wake_.notify_one();
  return job->ticket;
}

SchedulerStats Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  return shown_;
}

double Scheduler::stalled_seconds() const {
  const int64_t beat = last_beat_.load(std::memory_order_relaxed);
  return beat == 0 ? 0 : seconds(Clock::now().time_since_epoch() - Clock::duration(beat));
}

void Scheduler::work() {
  while (wait_for_work()) {
    last_beat_ = Clock::now().time_since_epoch().count();
    drop_cancelled();
    admit();
    plan();
    evaluate(batch_);
    sweep();
    publish();
  }
  end_all();
}

bool Scheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
  if (running_.empty() && queue_.empty()) {
    last_beat_ = 0;
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  }
  return !stopping_;
}

void Scheduler::publish() {
  stats_.running = static_cast<int64_t>(running_.size());
  stats_.cached_sequences = static_cast<int64_t>(cache_.size());
  stats_.evictions = cache_.evictions();
  stats_.kv_bytes = runner_.kv_pool().pages_in_use() * runner_.kv_pool().shape().page_bytes();
  const std::lock_guard lock(mutex_);
  stats_.waiting = static_cast<int64_t>(queue_.size());
  stats_.refused = shown_.refused;
  shown_ = stats_;
}

void Scheduler::end_all() {
  const Status status(Code::cancelled, "the server is shutting down");
  for (const auto& sequence : running_) fail(*sequence, status);
  running_.clear();
  std::deque<std::shared_ptr<Job>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(queue_);
  }
  for (const auto& job : waiting) job->request.sink->on_done(status, job->usage);
  last_beat_ = 0;
}

// ---- requests in and out

void Scheduler::admit() {
  while (std::shared_ptr<Job> job = next_job()) {
    if (job->ticket->cancelled()) {
      job->request.sink->on_done(Status(Code::cancelled, "cancelled"), job->usage);
    } else {
      start(std::move(job));
    }
  }
}

// The next request that is to come out of the queue: of the client with the fewest answers under way the first, once there is room
// for it. Cancelled ones come out at once.
std::shared_ptr<Scheduler::Job> Scheduler::next_job() {
  int64_t answers = 0;
  for (const auto& s : running_) answers += s->stands_for;
  const auto answers_of = [&](const std::string& client) {
    int64_t sum = 0;
    for (const auto& s : running_) sum += s->job->request.client == client ? s->stands_for : 0;
    return sum;
  };
  const std::lock_guard lock(mutex_);
  auto best = std::ranges::find_if(queue_, [](const auto& job) { return job->ticket->cancelled(); });
  if (best == queue_.end()) {
    int64_t fewest = INT64_MAX;
    for (auto it = queue_.begin(); it != queue_.end(); ++it) {
      const int64_t others = answers_of((*it)->request.client);
      if (others >= fewest) continue;
      fewest = others;
      best = it;
    }
    if (best == queue_.end() || answers + (*best)->request.choices > options_.parallel) return nullptr;
  }
  std::shared_ptr<Job> job = std::move(*best);
  queue_.erase(best);
  return job;
}

void Scheduler::start(std::shared_ptr<Job> job) {
  auto stream = AnswerStream::create(tokenizer_, job->request.options, runner_.model().hyper().V);
  if (!stream.ok()) return job->request.sink->on_done(stream.status(), job->usage);
  const int32_t choices = job->request.choices;
  std::vector<TokenId> tokens = job->request.prompt;
  const auto prompt = static_cast<int64_t>(tokens.size());
  const KvKind kind{.adapter = job->request.adapter};
  auto drafter = job->request.options.drafter ? job->request.options.drafter() : nullptr;
  running_.push_back(std::unique_ptr<Sequence>(
      new Sequence{std::move(job), 0, choices, std::move(tokens), runner_.new_sequence(), *std::move(stream), kind}));
  running_.back()->drafter = std::move(drafter);
  if (windows_) running_.back()->forks_at.insert(prompt);  // the same prompt again, and the conversation's next turn
}

void Scheduler::drop_cancelled() {
  for (const auto& s : running_) {
    if (s->job->ticket->cancelled() && !s->done) finish(*s, Finish::cancelled);
  }
  sweep();
}

void Scheduler::finish(Sequence& s, Finish why) {
  s.job->request.sink->on_finish(s.choice, why, s.stream.flush(), s.stream.stop_text());
  stats_.count(why) += static_cast<uint64_t>(s.stands_for);
  end_choices(s, why == Finish::cancelled ? Status(Code::cancelled, "cancelled") : ok_status());
}

void Scheduler::fail(Sequence& s, const Status& status) {
  if (s.job->status.ok()) ++stats_.failed;
  s.job->ticket->cancel();  // its other choices
  end_choices(s, status);
}

void Scheduler::end_choices(Sequence& s, const Status& status) {
  s.done = true;
  Job& job = *s.job;
  if (job.status.ok()) job.status = status;
  job.open -= s.stands_for;
  if (job.open > 0) return;
  job.usage.total_seconds = seconds(Clock::now() - job.arrival);
  job.request.sink->on_done(job.status, job.usage);
}

// What has ended leaves its keys and values to the prefix cache, and its place to those that wait for memory.
void Scheduler::sweep() {
  const auto ended = [](const auto& s) { return s->done; };
  if (std::ranges::none_of(running_, ended)) return;
  for (const auto& s : running_) {
    s->parked = false;
    if (!s->done) continue;
    const auto held = s->held();  // asks kv, which moves
    cache_.insert(held, std::move(s->kv), s->kind);
  }
  std::erase_if(running_, ended);
}

// ---- what goes into the next batch

void Scheduler::plan() {
  batch_.clear();
  const bool all_parked = std::ranges::all_of(running_, [](const auto& s) { return s->parked; });
  for (const auto& s : running_) {
    if (all_parked) s->parked = false;
    // As Session: the factors of longrope follow the length of the whole sequence.
    const bool long_rope = s->length() > runner_.model().original_context();
    if (long_rope != s->kind.long_rope) s->kv.clear();
    s->kind.long_rope = long_rope;
    s->ahead.clear();
  }
  for (const auto& s : running_) {
    if (!s->parked && s->answers()) add_part(*s, 1);
  }
  plan_prompts();
  plan_guesses();
  // One product for all rows of an adapter.
  std::ranges::stable_sort(batch_, {}, [](const Planned& p) { return p.sequence->kind.adapter; });
}

void Scheduler::plan_prompts() {
  std::vector<Sequence*> prompts;
  for (const auto& s : running_) {
    if (!s->parked && !s->done && (s->stream.tokens() == 0 || s->pending() > 1)) prompts.push_back(s.get());
  }
  std::ranges::stable_sort(prompts, {}, [&](const Sequence* s) { return s->pending() - s->waited * options_.chunk; });
  int64_t room = runner_.batch_tokens() - static_cast<int64_t>(batch_.size());
  if (!batch_.empty()) room = std::min(room, options_.chunk);
  for (Sequence* s : prompts) {
    ++s->waited;
    if (room <= 0 || s->parked) continue;
    adopt_prefix(*s);
    if (prefix_is_coming(*s)) continue;
    int64_t count = std::min(s->pending(), room);
    if (const auto fork = s->forks_at.upper_bound(s->kv.length()); fork != s->forks_at.end()) {
      count = std::min(count, *fork - s->kv.length());
    }
    add_part(*s, count);
    room -= count;
  }
}

// Beside the stretch of a prompt nothing is guessed: what such a batch takes says nothing about guesses.
void Scheduler::plan_guesses() {
  if (!std::ranges::all_of(batch_, &Planned::answers)) return;
  std::vector<Sequence*> able;
  for (const Planned& p : batch_) {
    Sequence& s = *p.sequence;
    s.trust = s.drafter == nullptr || guess_room(s) <= 0 ? Drafter::kNoIdea : s.drafter->look(s.tokens);
    if (s.trust != Drafter::kNoIdea) able.push_back(&s);
  }
  if (able.empty()) return;
  std::ranges::stable_sort(able, std::greater(), [](const Sequence* s) { return s->record.rate(s->trust); });
  GuessPlace place{.answers = std::ssize(batch_), .tokens = std::ssize(batch_)};
  const int64_t most = std::min(runner_.plan().options.max_outputs, runner_.batch_tokens());
  for (Sequence* s : able) {
    place.room = std::min(guess_room(*s), most - place.tokens);
    const int64_t count = guesses_worth(times_, s->record.rate(s->trust), place);
    if (count == 0) s->record.untried(s->trust);
    const auto guess = count > 0 ? s->drafter->guess(count) : std::span<const TokenId>();
    // Nobody gives up memory for a guess.
    if (!guess.ok() || guess->empty() || !s->kv.prepare(1 + std::ssize(*guess)).ok()) continue;
    s->ahead.assign(1, s->tokens.back());
    s->ahead.insert(s->ahead.end(), guess->begin(), guess->end());
    s->came = 0;
    place.tokens += s->guesses();
  }
  if (place.tokens == place.answers) times_.untried(place.tokens);
}

int64_t Scheduler::guess_room(const Sequence& s) const {
  const int64_t room = runner_.guess_room(s.length()), most = s.job->request.options.max_tokens;
  return most > 0 ? std::min(room, most - s.stream.tokens() - 1) : room;  // an answer's last token is not evaluated
}

void Scheduler::add_part(Sequence& s, int64_t count) {
  if (make_room(s, count)) batch_.push_back({&s, count});
}

// Pages for `count` more tokens. Where memory is used up the prefix cache gives way, then others outside, then the sequences that came
// later, then this one, which waits; the last one that is left fails.
bool Scheduler::make_room(Sequence& s, int64_t count) {
  for (;;) {
    const Status status = s.kv.prepare(count);
    if (status.ok()) return true;
    const bool full = status.code() == Code::resource_exhausted;
    if (full && (cache_.evict() || (options_.more_memory && options_.more_memory()) || preempt_younger(s))) continue;
    const bool alone =
        std::ranges::none_of(running_, [&](const auto& o) { return o.get() != &s && !o->parked && !o->done; });
    if (alone || !full) {
      fail(s, status);
    } else {
      s.kv.clear();
      s.parked = true;
      ++stats_.preemptions;
    }
    return false;
  }
}

bool Scheduler::preempt_younger(const Sequence& sequence) {
  for (auto it = running_.rbegin(); it != running_.rend() && it->get() != &sequence; ++it) {
    Sequence& s = **it;
    if (s.parked || s.done || s.kv.length() == 0) continue;
    std::erase_if(batch_, [&](const Planned& p) { return p.sequence == &s; });
    s.kv.clear();
    s.parked = true;
    ++stats_.preemptions;
    return true;
  }
  return false;
}

// Takes over the keys and values of whoever began in the same way: of an ended sequence or of one under way.
void Scheduler::adopt_prefix(Sequence& s) {
  const auto found = cache_.find(s.prefix(), s.kind);
  const KvSequence* best = found.kv;
  PrefixMatch match = found.match;
  for (const auto& other : running_) {
    if (other.get() == &s || other->done || other->kind != s.kind) continue;
    const PrefixMatch m = match_prefix(other->kv, other->held(), s.prefix());
    match.common = std::max(match.common, m.common);
    if (m.usable <= match.usable) continue;
    match.usable = m.usable;
    best = &other->kv;
  }
  if (best != nullptr && match.usable > s.kv.length()) {
    if (auto fork = fork_prefix(*best, match.usable); fork.ok()) {
      s.kv = *std::move(fork);
      if (s.stream.tokens() == 0) s.job->usage.cached_tokens = match.usable;
    }
  }
  // A window has let go of what others have in common with this one: the next that begins so finds it.
  if (windows_ && match.common > s.kv.length() + kWorthWaiting) s.forks_at.insert(match.common);
}

bool Scheduler::prefix_is_coming(const Sequence& s) {
  for (Planned& p : batch_) {
    if (p.sequence->kind != s.kind) continue;
    const auto coming = std::span<const TokenId>(p.sequence->tokens).first(static_cast<size_t>(p.end()));
    const int64_t common = std::ranges::mismatch(coming, s.prefix()).in1 - coming.begin();
    if (common < s.kv.length() + kWorthWaiting) continue;
    if (windows_ && common > p.sequence->kv.length() && common < p.end()) {  // stop where they part
      p.count = common - p.sequence->kv.length();
      p.sequence->forks_at.insert(common);
    }
    if (common > p.sequence->kv.length()) return true;
  }
  return false;
}

// ---- the batch and what comes of it

// A sequence that cannot be evaluated must not take the others of its batch with it.
void Scheduler::evaluate(std::span<const Planned> planned) {
  if (planned.empty()) return;
  std::vector<BatchPart> parts;
  int64_t size = 0;
  for (const Planned& p : planned) {
    parts.push_back(p.part());
    size += std::ssize(parts.back().tokens);
  }
  const bool answers = std::ranges::all_of(planned, &Planned::answers);
  const auto start = Clock::now();
  const Status status = runner_.run(parts, [&] {
    last_beat_ = Clock::now().time_since_epoch().count();
    return !stopping_ &&
           std::ranges::any_of(planned, [](const Planned& p) { return !p.sequence->job->ticket->cancelled(); });
  });
  ++stats_.steps;
  if (status.ok()) {
    if (answers) times_.took(size, seconds(Clock::now() - start));
    take_results(planned);
  } else if (status.code() != Code::cancelled) {
    if (planned.size() == 1) return fail(*planned[0].sequence, status);
    for (size_t i = 0; i < planned.size(); ++i) evaluate(planned.subspan(i, 1));
  }
}

void Scheduler::take_results(std::span<const Planned> planned) {
  choosing_.clear();
  int64_t row = 0;
  for (const Planned& p : planned) {
    Sequence& s = *p.sequence;
    s.waited = 0;
    if (s.forks_at.erase(s.kv.length()) > 0) keep_fork(s);
    if (s.pending() > 0) continue;
    if (s.job->request.embed) {
      hand_out_hidden(s, row++);
      continue;
    }
    choosing_.push_back({&s, row});
    if (s.stands_for > 1) branch(s, row);
    row += 1 + s.guesses();
    s.job->usage.guessed_tokens += s.guesses();
    stats_.guessed_tokens += static_cast<uint64_t>(s.guesses());
  }
  // One token after the other, for as long as each is the one that was guessed.
  while (!choosing_.empty()) {
    choose();
    for (Choosing& chosen : choosing_) hand_out(chosen);
    std::erase_if(choosing_, [](const Choosing& c) {
      return !c.came_true || c.sequence->done || c.sequence->job->ticket->cancelled();
    });
    for (Choosing& c : choosing_) c = {c.sequence, c.row + 1, c.guess + 1};
  }
  for (const Planned& p : planned) settle(*p.sequence);
}

// Takes back what was guessed wrongly, or behind the answer's end.
void Scheduler::settle(Sequence& s) {
  if (s.ahead.empty()) return;
  s.record.judge(s.trust, s.guesses(), s.came);
  if (s.kv.length() >= s.length() && !s.kv.truncate(s.length() - 1).ok()) s.kv.clear();
  s.ahead.clear();
}

void Scheduler::hand_out_hidden(Sequence& s, int64_t row) {
  RequestUsage& usage = s.job->usage;
  usage.first_seconds = seconds(Clock::now() - s.job->arrival);
  stats_.prompt_tokens += static_cast<uint64_t>(usage.prompt_tokens);
  stats_.cached_tokens += static_cast<uint64_t>(usage.cached_tokens);
  s.job->request.sink->on_hidden(runner_.hidden(row));
  end_choices(s, ok_status());
}

void Scheduler::keep_fork(Sequence& s) {
  if (auto fork = fork_prefix(s.kv, s.kv.length()); fork.ok()) cache_.insert(s.held(), *std::move(fork), s.kind);
}

// The prompt is evaluated: each choice goes its own way from here.
void Scheduler::branch(Sequence& leader, int64_t row) {
  const std::shared_ptr<Job> job = leader.job;
  const int32_t choices = std::exchange(leader.stands_for, 1);
  for (int32_t choice = 1; choice < choices; ++choice) {
    GenerateOptions options = job->request.options;
    options.sampling.seed += static_cast<uint64_t>(choice);
    auto stream = AnswerStream::create(tokenizer_, options, runner_.model().hyper().V);
    auto fork = fork_prefix(leader.kv, leader.kv.length());
    if (!stream.ok() || !fork.ok()) {
      leader.stands_for = choices - choice + 1;
      return fail(leader, stream.ok() ? fork.status() : stream.status());
    }
    running_.push_back(std::unique_ptr<Sequence>(
        new Sequence{job, choice, 1, leader.tokens, *std::move(fork), *std::move(stream), leader.kind}));
    if (options.drafter) running_.back()->drafter = options.drafter();
    choosing_.push_back({running_.back().get(), row});
  }
}

void Scheduler::choose() {
  runner_.parallel().for_each(static_cast<int64_t>(choosing_.size()), [&](int64_t i, int) {
    Choosing& c = choosing_[static_cast<size_t>(i)];
    const Request& request = c.sequence->job->request;
    const auto logits = runner_.logits(c.row);
    const auto id = c.sequence->stream.choose(logits, c.sequence->tokens);
    c.status = id.status();
    if (!id.ok()) return;
    c.token.id = *id;
    if (!request.logprobs) return;
    c.token.log_probability = log_probability(logits, *id);
    c.token.most_probable = most_probable(logits, static_cast<size_t>(request.top_logprobs));
  });
}

void Scheduler::hand_out(Choosing& chosen) {
  Sequence& s = *chosen.sequence;
  if (s.done) return;
  if (!chosen.status.ok()) return fail(s, chosen.status);
  Job& job = *s.job;
  const auto now = Clock::now();
  if (job.usage.first_seconds == 0) {
    job.usage.first_seconds = seconds(now - job.arrival);
    stats_.first_token.observe(job.usage.first_seconds);
    stats_.prompt_tokens += static_cast<uint64_t>(job.usage.prompt_tokens);
    stats_.cached_tokens += static_cast<uint64_t>(job.usage.cached_tokens);
  } else if (s.stream.tokens() > 0) {
    stats_.per_token.observe(seconds(now - s.last_token));
  }
  s.last_token = now;
  s.tokens.push_back(chosen.token.id);
  chosen.came_true = chosen.guess < s.ahead.size() && s.ahead[chosen.guess] == chosen.token.id;
  if (chosen.came_true) {
    ++s.came;
    ++job.usage.accepted_tokens;
    ++stats_.accepted_tokens;
  }
  const int64_t before = s.stream.tokens();
  chosen.token.text = s.stream.push(chosen.token.id);
  stats_.constraint_seconds += s.stream.take_constraint_seconds();
  const std::optional<Finish> ended = s.stream.finish();
  if (s.stream.tokens() > before) {  // an end token is no part of the answer
    ++job.usage.answer_tokens;
    ++stats_.answer_tokens;
    job.request.sink->on_token(s.choice, std::move(chosen.token));
  }
  if (ended) return finish(s, *ended);
  if (s.length() > runner_.context()) finish(s, Finish::context);  // its last token is not evaluated
}

}  // namespace kinglet
