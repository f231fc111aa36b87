#include "tokenizer/bpe_trainer.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_set>

#include "host/error.h"
#include "tokenizer/hash.h"
#include "tokenizer/vocabulary.h"

namespace kinglet {
namespace {

constexpr int32_t kProgressTokens = 64;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

/// Bytes in the order of the characters that spell them: the order of their ids.
std::vector<uint8_t> bytes_in_order() {
  std::vector<uint8_t> bytes(256);
  for (size_t i = 0; i < 256; ++i) bytes[i] = static_cast<uint8_t>(i);
  std::sort(bytes.begin(), bytes.end(), [](uint8_t a, uint8_t b) { return byte_level_char(a) < byte_level_char(b); });
  return bytes;
}

class BpeTrainer {
 public:
  explicit BpeTrainer(const BpeTrainOptions& options) : options_(options) {}

  Result<TrainedBpe> run(const WordCounts& words) {
    KL_TRY(begin_vocabulary());
    KL_TRY(load(words));
    while (static_cast<int32_t>(out_.tokens.size()) < options_.vocabulary) {
      const int64_t best = take_best();
      if (best < 0) break;
      if (!merge(static_cast<uint32_t>(best))) continue;
      const auto tokens = static_cast<int32_t>(out_.tokens.size());
      if (options_.progress && tokens % kProgressTokens == 0 && !options_.progress(tokens))
        return Status(Code::cancelled, "interrupted");
    }
    for (const Word& word : words_) out_.training_tokens += word.count * word.size;
    return std::move(out_);
  }

 private:
  struct Word {
    size_t begin;   // of symbols_
    uint32_t size;  // symbols
    int64_t count;
  };
  struct Pair {
    int32_t left, right;
    int64_t count = 0;
    uint32_t round = 0;           // in which it grew last
    std::vector<uint32_t> words;  // that hold it, or held it; a word may be named twice
  };
  /// The most frequent first; of equals the one of lower ids.
  struct Candidate {
    int64_t count;
    uint64_t key;
    uint32_t pair;
    bool operator<(const Candidate& o) const { return count != o.count ? count < o.count : key > o.key; }
  };

  Status begin_vocabulary() {
    if (options_.vocabulary < 256 + static_cast<int64_t>(options_.special.size())) {
      return error(Code::invalid_argument, "a vocabulary of {}; 256 bytes and {} special tokens need {} at least",
                   options_.vocabulary, options_.special.size(), 256 + options_.special.size());
    }
    for (const std::string& text : options_.special) {
      if (text.empty()) return Status(Code::invalid_argument, "an empty special token");
      if (!special_.insert(text).second)
        return error(Code::invalid_argument, "the special token {} is named twice", text);
      out_.tokens.push_back(text);
    }
    for (const uint8_t byte : bytes_in_order()) {
      const std::string text = encode_byte_level(std::string_view(reinterpret_cast<const char*>(&byte), 1));
      if (special_.contains(text))
        return error(Code::invalid_argument, "the special token {} is the text of a byte", text);
      byte_ids_[byte] = add_token(text);
    }
    return ok_status();
  }

  /// The id of a text, a new one where it is no token yet: two pairs may spell the same.
  int32_t add_token(const std::string& text) {
    const auto [at, added] = ids_.emplace(text, static_cast<int32_t>(out_.tokens.size()));
    if (added) out_.tokens.push_back(text);
    return at->second;
  }

  Status load(const WordCounts& words) {
    if (words.words() > std::numeric_limits<uint32_t>::max())
      return Status(Code::resource_exhausted, "too many different words");
    words_.reserve(words.words());
    words.for_each([this](std::string_view text, int64_t count) {
      const auto number = static_cast<uint32_t>(words_.size());
      words_.push_back({symbols_.size(), static_cast<uint32_t>(text.size()), count});
      for (const char c : text) symbols_.push_back(byte_ids_[static_cast<uint8_t>(c)]);
      const int32_t* s = symbols_.data() + words_.back().begin;
      for (size_t i = 0; i + 1 < text.size(); ++i) change(s[i], s[i + 1], count, number);
    });
    push_touched();
    return ok_status();
  }

  /// Counts `by` more of a pair in a word; touched_ remembers those that grow.
  void change(int32_t left, int32_t right, int64_t by, uint32_t word) {
    const auto [at, added] = pair_ids_.emplace(pair_key(left, right), static_cast<uint32_t>(pairs_.size()));
    if (added) pairs_.push_back({left, right, 0, 0, {}});
    Pair& pair = pairs_[at->second];
    pair.count += by;
    if (by < 0) return;
    if (pair.round != round_) touched_.push_back(at->second);
    pair.round = round_;
    if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
  }

  void push(uint32_t pair) {
    const Pair& p = pairs_[pair];
    if (p.count > 0) heap_.push({p.count, pair_key(p.left, p.right), pair});
  }
  void push_touched() {
    for (const uint32_t pair : touched_) push(pair);
    touched_.clear();
    ++round_;
  }

  /// The next pair to merge, or -1. A pair that grew was pushed then, so that the first of its candidates to come up holds
  /// its count or an older, greater one.
  int64_t take_best() {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      const int64_t now = pairs_[top.pair].count;
      if (now != top.count) {
        push(top.pair);
        continue;
      }
      return now < std::max<int64_t>(options_.min_count, 1) ? -1 : static_cast<int64_t>(top.pair);
    }
    return -1;
  }

  /// False where the pair spells a special token: text must not become one.
  bool merge(uint32_t number) {
    const int32_t left = pairs_[number].left, right = pairs_[number].right;
    const std::string &l = out_.tokens[static_cast<size_t>(left)], &r = out_.tokens[static_cast<size_t>(right)];
    if (special_.contains(l + r)) {
      pairs_[number].count = 0;
      return false;
    }
    out_.merges.push_back(l + " " + r);
    const int32_t id = add_token(l + r);
    const std::vector<uint32_t> words = std::move(pairs_[number].words);
    pairs_[number].words.clear();
    for (const uint32_t word : words) merge_in(word, left, right, id);
    pairs_[number].count = 0;
    push_touched();
    return true;
  }

  /// Every `left` `right` of a word, from its start, becomes `id`; counts of the pairs around it follow.
  void merge_in(uint32_t number, int32_t left, int32_t right, int32_t id) {
    Word& word = words_[number];
    int32_t* s = symbols_.data() + word.begin;
    uint32_t out = 0;
    for (uint32_t i = 0; i < word.size;) {
      if (i + 1 >= word.size || s[i] != left || s[i + 1] != right) {
        s[out++] = s[i++];
        continue;
      }
      if (out > 0) {
        change(s[out - 1], left, -word.count, number);
        change(s[out - 1], id, word.count, number);
      }
      if (i + 2 < word.size) {
        change(right, s[i + 2], -word.count, number);
        change(id, s[i + 2], word.count, number);
      }
      s[out++] = id;
      i += 2;
    }
    word.size = out;
  }

  const BpeTrainOptions& options_;
  TrainedBpe out_;
  std::unordered_set<std::string> special_;
  std::unordered_map<std::string, int32_t> ids_;  // of the others
  int32_t byte_ids_[256] = {};
  std::vector<int32_t> symbols_;
  std::vector<Word> words_;
  std::vector<Pair> pairs_;
  std::unordered_map<uint64_t, uint32_t> pair_ids_;
  std::vector<uint32_t> touched_;  // pairs that grew in this round
  uint32_t round_ = 1;
  std::priority_queue<Candidate> heap_;
};

}  // namespace

size_t WordCounts::Hash::operator()(std::string_view text) const { return static_cast<size_t>(hash_bytes(text)); }

void WordCounts::add(std::string_view text) {
  bytes_ += text.size();
  if (text.empty()) return;
  run_pretokenizers(*steps_, text, true, [this](std::string_view word, bool) {
    const auto at = counts_.find(word);
    if (at != counts_.end()) {
      ++at->second;
    } else if (!word.empty()) {
      counts_.emplace(std::string(word), 1);
    }
  });
}

Result<TrainedBpe> train_bpe(const WordCounts& words, const BpeTrainOptions& options) {
  return BpeTrainer(options).run(words);
}

}  // namespace kinglet
