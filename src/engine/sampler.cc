// Built without the fusing of multiplies and adds (CMakeLists.txt): the same seed gives the same token on every
// platform.
#include "engine/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "host/error.h"

namespace kinglet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = 1e30f;  // a logit beyond it counts as it: no sum below overflows
constexpr float kOne = 0x1p36f;    // the weight of the likeliest token; 2^27 of them fit into 63 bits

// e^x for x <= 0, to a part in 10^7: a polynomial on [-ln 2 / 2, ln 2 / 2] times a power of two. std::exp differs
// between platforms, and this one the compiler makes vectors of.
float exp_down(float x) {
  constexpr float kRounder = 0x1.8p23f;  // adding and taking it off rounds to a whole number
  x = x > -60.0f ? x : -60.0f;
  const float n = (x * 1.44269504f + kRounder) - kRounder;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 5040.0f;
  for (const float c : {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f}) p = p * r + c;
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

// The weight of a logit `x` below the likeliest one (x <= 0).
uint64_t weight_of(float x) { return static_cast<uint64_t>(exp_down(x) * kOne); }

uint64_t mix(uint64_t z) {  // the finalizer of splitmix64
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// A number in [0, 1) for each seed and position.
double unit_draw(uint64_t seed, uint64_t position) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  return static_cast<double>(mix(mix(seed + kGolden) + (position + 1) * kGolden) >> 11) * 0x1p-53;
}

// Likelier first, and of equals the lower id: a total order, so that no result depends on how a library sorts.
struct Likelier {
  template <typename C>
  bool operator()(const C& a, const C& b) const {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  }
};

// A comparison with a number that is not one fails, so NaN is refused by every check.
Status check(bool good, std::string_view name, float value, std::string_view allowed) {
  if (good) return ok_status();
  return error(Code::invalid_argument, "{} is {}; it must be {}", name, value, allowed);
}

Status validate(const SamplingOptions& o, int32_t vocab_size) {
  const auto between = [](float x, float low, float high) { return x >= low && x <= high; };
  KL_TRY(check(between(o.temperature, 0, 100), "temperature", o.temperature, "between 0 and 100"));
  KL_TRY(check(o.top_k >= 0, "top_k", static_cast<float>(o.top_k), "0 (all) or more"));
  KL_TRY(check(o.top_p > 0 && o.top_p <= 1, "top_p", o.top_p, "more than 0 and at most 1"));
  KL_TRY(check(between(o.min_p, 0, 1), "min_p", o.min_p, "between 0 and 1"));
  KL_TRY(check(o.typical_p > 0 && o.typical_p <= 1, "typical_p", o.typical_p, "more than 0 and at most 1"));
  KL_TRY(check(between(o.repetition_penalty, 0.01f, 100), "repetition_penalty", o.repetition_penalty,
               "between 0.01 and 100"));
  KL_TRY(check(between(o.presence_penalty, -100, 100), "presence_penalty", o.presence_penalty, "between -100 and 100"));
  KL_TRY(
      check(between(o.frequency_penalty, -100, 100), "frequency_penalty", o.frequency_penalty, "between -100 and 100"));
  KL_TRY(check(o.penalty_window >= -1, "penalty_window", static_cast<float>(o.penalty_window),
               "-1 (all tokens), 0 (none) or a number of tokens"));
  for (const auto& [id, bias] : o.logit_bias) {
    if (id < 0 || id >= vocab_size) {
      return error(Code::invalid_argument, "logit_bias names token {}; the vocabulary has {}", id, vocab_size);
    }
    KL_TRY(check(std::abs(bias) <= 1e6f || bias == -kInfinity, "logit_bias", bias,
                 "between -1000000 and 1000000, or -inf to ban a token"));
  }
  return ok_status();
}

}  // namespace

Result<Sampler> Sampler::create(const SamplingOptions& options, int32_t vocab_size) {
  KL_TRY(validate(options, vocab_size));
  return Sampler(options);
}

Result<TokenId> Sampler::sample(std::span<const float> logits, std::span<const TokenId> tokens,
                                std::span<const uint64_t> allowed) {
  adjust(logits, tokens, allowed);
  if (max_ == -kInfinity) {
    if (!allowed.empty()) return Status(Code::invalid_argument, "no token that the answer's form allows can be chosen");
    return Status(Code::invalid_argument, "the logit bias leaves no token to choose");
  }
  if (options_.temperature == 0) {
    candidates_.assign(1, {max_, likeliest(), 0});
    return candidates_[0].id;
  }
  gather();
  keep_typical();
  keep_top_p();
  keep_min_p();
  return draw(tokens.size());
}

// Copies the logits (NaN becomes banned, infinity a large number), and applies penalties and bias to the few tokens
// that have them.
void Sampler::adjust(std::span<const float> logits, std::span<const TokenId> tokens,
                     std::span<const uint64_t> allowed) {
  logits_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const float x = logits[i] == logits[i] ? logits[i] : -kInfinity;
    logits_[i] = std::min(x, kLargest);
  }
  const bool penalties =
      options_.repetition_penalty != 1 || options_.presence_penalty != 0 || options_.frequency_penalty != 0;
  if (penalties && options_.penalty_window != 0) {
    const size_t window = options_.penalty_window < 0 ? tokens.size() : static_cast<size_t>(options_.penalty_window);
    const auto recent = tokens.last(std::min(window, tokens.size()));
    window_.assign(recent.begin(), recent.end());
    std::sort(window_.begin(), window_.end());
    for (size_t i = 0; i < window_.size();) {
      const TokenId id = window_[i];
      size_t count = 0;
      while (i < window_.size() && window_[i] == id) ++i, ++count;
      if (id < 0 || static_cast<size_t>(id) >= logits_.size()) continue;
      float& x = logits_[static_cast<size_t>(id)];
      x = x > 0 ? x / options_.repetition_penalty : x * options_.repetition_penalty;
      x -= static_cast<float>(count) * options_.frequency_penalty + options_.presence_penalty;
    }
  }
  for (const auto& [id, bias] : options_.logit_bias) {
    if (static_cast<size_t>(id) < logits_.size()) logits_[static_cast<size_t>(id)] += bias;
  }
  if (!allowed.empty()) ban_all_but(allowed);
  max_ = logits_.empty() ? -kInfinity : *std::max_element(logits_.begin(), logits_.end());
}

void Sampler::ban_all_but(std::span<const uint64_t> allowed) {
  const size_t known = std::min(logits_.size(), allowed.size() * 64);
  std::fill(logits_.begin() + static_cast<ptrdiff_t>(known), logits_.end(), -kInfinity);
  for (size_t first = 0; first < known; first += 64) {
    const uint64_t word = allowed[first / 64];
    if (word == ~uint64_t{0}) continue;
    const size_t end = std::min(first + 64, known);
    if (word == 0) {
      std::fill(logits_.begin() + static_cast<ptrdiff_t>(first), logits_.begin() + static_cast<ptrdiff_t>(end),
                -kInfinity);
      continue;
    }
    for (size_t i = first; i < end; ++i)
      if ((word >> (i - first) & 1) == 0) logits_[i] = -kInfinity;
  }
}

TokenId Sampler::likeliest() const {
  return static_cast<TokenId>(std::find(logits_.begin(), logits_.end(), max_) - logits_.begin());
}

// Fills candidates_ with what top-k leaves, in an order that is always the same. Where top-k and typical are off,
// tokens that top-p or min-p would drop anyway are passed over, and total_ counts them: a vocabulary is never sorted.
void Sampler::gather() {
  const auto k = static_cast<size_t>(options_.top_k);
  if (k > 0 && k < logits_.size()) return gather_top_k(k);
  if (options_.typical_p < 1 || options_.top_p == 1) {
    // Min-p leaves the same tokens whether they are passed over here or dropped later, but typical comes before it.
    const bool pass_over = options_.typical_p == 1 && options_.min_p > 0;
    gather_above(pass_over ? 0.01f - std::log(options_.min_p) : kInfinity);
    total_ = candidate_weight();
    return;
  }
  gather_for_top_p();
}

void Sampler::gather_top_k(size_t k) {
  candidates_.clear();
  for (size_t i = 0; i < k; ++i) candidates_.push_back({logits_[i], static_cast<TokenId>(i), 0});
  std::make_heap(candidates_.begin(), candidates_.end(), Likelier());  // the least likely of the k on top
  for (size_t i = k; i < logits_.size(); ++i) {
    if (logits_[i] <= candidates_.front().logit) continue;
    std::pop_heap(candidates_.begin(), candidates_.end(), Likelier());
    candidates_.back() = {logits_[i], static_cast<TokenId>(i), 0};
    std::push_heap(candidates_.begin(), candidates_.end(), Likelier());
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), Likelier());
  while (candidates_.back().logit == -kInfinity) candidates_.pop_back();
  weigh(1);
  total_ = candidate_weight();
}

// Candidates in order of their ids: every token that is not banned and at most `margin` below the likeliest.
void Sampler::gather_above(float margin) {
  const float least = std::max(max_ - margin, std::numeric_limits<float>::lowest());
  candidates_.clear();
  for (size_t i = 0; i < logits_.size(); ++i) {
    if (logits_[i] >= least) candidates_.push_back({logits_[i], static_cast<TokenId>(i), 0});
  }
  weigh(1);
}

// Most often few tokens hold nearly all: tries those before it takes all.
void Sampler::gather_for_top_p() {
  uint64_t total = 0;
  for (const float x : logits_) total += weight_of(x - max_);
  const bool by_min_p = options_.min_p > 0;
  for (const float margin : {by_min_p ? 0.01f - std::log(options_.min_p) : 8.0f, 16.0f, kInfinity}) {
    gather_above(margin);
    if (by_min_p || static_cast<double>(candidate_weight()) >= options_.top_p * static_cast<double>(total)) break;
  }
  total_ = total;
}

void Sampler::weigh(float temperature) {
  float max = -kInfinity;
  for (const Candidate& c : candidates_) max = std::max(max, c.logit);
  for (Candidate& c : candidates_) c.weight = weight_of((c.logit - max) / temperature);
}

uint64_t Sampler::candidate_weight() const {
  uint64_t sum = 0;
  for (const Candidate& c : candidates_) sum += c.weight;
  return sum;
}

// Keeps the first candidates, in the order of `before`, that together weigh at least `share` of total_. Finds the last
// of them by halving: linear in the number of candidates, and none is sorted.
template <typename Before>
void Sampler::keep_share(double share, Before before) {
  auto need = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(total_))));
  if (candidate_weight() <= need) return;
  scratch_ = candidates_;
  auto low = scratch_.begin(), high = scratch_.end();
  while (high - low > 1) {
    const auto middle = low + (high - low) / 2;
    std::nth_element(low, middle, high, before);
    uint64_t weight = 0;
    for (auto it = low; it != middle; ++it) weight += it->weight;
    if (weight >= need) {
      high = middle;
    } else {
      need -= weight;
      low = middle;
    }
  }
  std::erase_if(candidates_, [&, last = *low](const Candidate& c) { return before(last, c); });
  total_ = candidate_weight();
}

// Locally typical sampling (Meister et al. 2022): those whose surprise, -ln p, is nearest to the expected one.
void Sampler::keep_typical() {
  if (options_.typical_p == 1) return;
  float max = -kInfinity;
  for (const Candidate& c : candidates_) max = std::max(max, c.logit);
  const double log_total = std::log(static_cast<double>(total_) / double{kOne});
  const auto surprise = [=](const Candidate& c) { return log_total - (double{c.logit} - double{max}); };
  double expected = 0;
  for (const Candidate& c : candidates_) {
    if (c.weight > 0) expected += static_cast<double>(c.weight) / static_cast<double>(total_) * surprise(c);
  }
  keep_share(options_.typical_p, [=](const Candidate& a, const Candidate& b) {
    const double x = std::abs(surprise(a) - expected), y = std::abs(surprise(b) - expected);
    return x < y || (x == y && Likelier()(a, b));
  });
}

void Sampler::keep_top_p() {
  if (options_.top_p < 1) keep_share(options_.top_p, Likelier());
}

void Sampler::keep_min_p() {
  if (options_.min_p == 0) return;
  uint64_t most = 0;
  for (const Candidate& c : candidates_) most = std::max(most, c.weight);
  const auto least = static_cast<uint64_t>(std::ceil(double{options_.min_p} * static_cast<double>(most)));
  std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < least; });
}

TokenId Sampler::draw(size_t position) {
  weigh(options_.temperature);
  const uint64_t total = candidate_weight();
  const auto target = static_cast<uint64_t>(unit_draw(options_.seed, position) * static_cast<double>(total));
  uint64_t sum = 0;
  for (const Candidate& c : candidates_) {
    sum += c.weight;
    if (sum > target) return c.id;
  }
  return candidates_.back().id;  // where the product was rounded up to the total
}

}  // namespace kinglet
