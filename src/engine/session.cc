#include "engine/session.h"

#include <cstring>

#include "host/error.h"
#include "host/file.h"

namespace kinglet {
namespace {

constexpr int64_t kLongestNote = int64_t{256} << 20;
constexpr char kMagic[8] = {'K', 'N', 'G', 'L', 'S', 'E', 'S', '2'};

// What a saved session must agree on with the model that reads it.
struct SessionHeader {
  char magic[8];
  int64_t layers, kv_heads, head_width, width, vocabulary;
  uint64_t kv_type, weight_bytes;
  int64_t long_rope, tokens, logits, note;
};

SessionHeader header_of(Runner& runner) {
  SessionHeader h{};
  std::memcpy(h.magic, kMagic, sizeof(kMagic));
  const Hyper& hyper = runner.model().hyper();
  h.layers = hyper.L;
  h.kv_heads = hyper.G;
  h.head_width = hyper.D;
  h.width = hyper.C;
  h.vocabulary = hyper.V;
  h.kv_type = static_cast<uint64_t>(runner.kv_pool().shape().type);
  h.weight_bytes = runner.model().weights().linear_bytes();
  return h;
}

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}

}  // namespace

bool Session::wants_long_rope(int64_t length) const { return length > runner_->model().original_context(); }

Status Session::append(std::span<const TokenId> tokens, const Progress& progress, const Runner::KeepGoing& keep_going) {
  if (tokens.empty()) return ok_status();
  if (tokens.size() == 1 && take_guessed(tokens.front())) return ok_status();
  drop_guess();
  const int64_t total = length() + static_cast<int64_t>(tokens.size());
  if (total > runner_->context())
    return error(Code::out_of_range, "the context is full: {} tokens and {} more do not fit into {}", length(),
                 tokens.size(), runner_->context());
  const bool long_rope = wants_long_rope(total);
  // Everything that is not in the cache (after a change of factors or a lost window) is evaluated again.
  if (long_rope != long_rope_) kv_.clear();
  long_rope_ = long_rope;
  std::vector<TokenId> pending(tokens_.begin() + kv_.length(), tokens_.end());
  pending.insert(pending.end(), tokens.begin(), tokens.end());
  logits_.clear();
  return evaluate(pending, progress, keep_going);
}

int64_t Session::guess_room() const {
  const int64_t batch = std::min(runner_->plan().options.max_outputs, runner_->batch_tokens());
  return std::max<int64_t>(0, std::min(batch - 1, runner_->guess_room(length() + 1)));
}

Status Session::append_guessing(TokenId token, std::span<const TokenId> guess) {
  drop_guess();
  guess = guess.first(std::min(guess.size(), static_cast<size_t>(guess_room())));
  // Where more than this token has to be evaluated there is nothing to win.
  const bool plain = guess.empty() || kv_.length() != length() || wants_long_rope(length() + 1) != long_rope_;
  if (plain) return append({&token, 1});
  std::vector<TokenId> batch{token};
  batch.insert(batch.end(), guess.begin(), guess.end());
  const BatchPart part{&kv_, batch, Outputs::all, long_rope_};
  logits_.clear();
  KL_TRY(runner_->run({&part, 1}));
  guess_.assign(guess.begin(), guess.end());
  guess_logits_.clear();
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto row = runner_->logits(static_cast<int64_t>(i));
    guess_logits_.insert(guess_logits_.end(), row.begin(), row.end());
  }
  tokens_.push_back(token);
  const auto first = guessed_logits(0);
  logits_.assign(first.begin(), first.end());
  return ok_status();
}

std::span<const float> Session::guessed_logits(size_t row) const {
  const size_t V = guess_logits_.size() / (guess_.size() + 1);
  return std::span(guess_logits_).subspan(row * V, V);
}

bool Session::take_guessed(TokenId token) {
  if (guess_taken_ == guess_.size() || guess_[guess_taken_] != token) return false;
  tokens_.push_back(token);
  const auto row = guessed_logits(++guess_taken_);
  logits_.assign(row.begin(), row.end());
  return true;
}

void Session::drop_guess() {
  guess_.clear();
  guess_taken_ = 0;
  if (kv_.length() > length() && !kv_.truncate(length()).ok()) kv_.clear();
}

Status Session::evaluate(std::span<const TokenId> tokens, const Progress& progress,
                         const Runner::KeepGoing& keep_going) {
  const auto total = static_cast<int64_t>(tokens.size());
  for (int64_t done = 0; done < total;) {
    const int64_t count = std::min(runner_->batch_tokens(), total - done);
    const auto chunk = tokens.subspan(static_cast<size_t>(done), static_cast<size_t>(count));
    const BatchPart part{&kv_, chunk, done + count == total ? Outputs::last : Outputs::none, long_rope_};
    KL_TRY(runner_->run({&part, 1}, keep_going));
    // The first of them may be tokens that the session had, evaluated anew.
    const int64_t grown = std::max<int64_t>(0, kv_.length() - length());
    tokens_.insert(tokens_.end(), chunk.end() - grown, chunk.end());
    done += count;
    if (progress && !progress(done, total) && done < total)
      return error(Code::cancelled, "stopped after {} of {} tokens", done, total);
  }
  const auto row = runner_->logits(0);
  logits_.assign(row.begin(), row.end());
  return ok_status();
}

Status Session::truncate(int64_t new_length) {
  if (new_length < 0 || new_length > length())
    return error(Code::invalid_argument, "cannot go back to {} of {} tokens", new_length, length());
  drop_guess();
  if (new_length == length()) return ok_status();
  tokens_.resize(static_cast<size_t>(new_length));
  logits_.clear();
  if (kv_.length() <= new_length) return ok_status();
  if (kv_.can_truncate(new_length)) return kv_.truncate(new_length);
  kv_.clear();
  return ok_status();
}

Status Session::save(const std::string& path, std::string_view note) const {
  SessionHeader h = header_of(*runner_);
  h.long_rope = long_rope_ ? 1 : 0;
  h.tokens = length();
  h.logits = static_cast<int64_t>(logits_.size());
  h.note = static_cast<int64_t>(note.size());
  KL_ASSIGN(AtomicFile file, AtomicFile::create(path));
  KL_TRY(file.write(std::as_bytes(std::span(&h, 1))));
  KL_TRY(file.write(bytes_of(tokens_)));
  KL_TRY(file.write(bytes_of(logits_)));
  KL_TRY(file.write(note));
  KL_TRY(file.write(kv_.save(length())));
  return file.commit();
}

Status Session::load(const std::string& path, std::string* note) {
  KL_ASSIGN(const MappedFile file, MappedFile::open(path));
  std::span<const std::byte> bytes = file.bytes();
  SessionHeader h{};
  if (bytes.size() < sizeof(h)) return error(Code::corrupt, "{}: not a saved session", path);
  std::memcpy(&h, bytes.data(), sizeof(h));
  if (std::memcmp(h.magic, kMagic, sizeof(kMagic)) != 0) return error(Code::corrupt, "{}: not a saved session", path);
  SessionHeader mine = header_of(*runner_);
  mine.long_rope = h.long_rope;
  mine.tokens = h.tokens;
  mine.logits = h.logits;
  mine.note = h.note;
  if (std::memcmp(&h, &mine, sizeof(h)) != 0)
    return error(Code::invalid_argument, "{}: saved with another model or another type of cache", path);
  bytes = bytes.subspan(sizeof(h));
  if (h.tokens < 0 || h.tokens > runner_->context() || (h.logits != 0 && h.logits != h.vocabulary) || h.note < 0 ||
      h.note > kLongestNote)
    return error(Code::corrupt, "{}: damaged, or longer than the context of {} tokens", path, runner_->context());
  const size_t token_bytes = static_cast<size_t>(h.tokens) * sizeof(TokenId),
               logit_bytes = static_cast<size_t>(h.logits) * sizeof(float);
  const auto note_bytes = static_cast<size_t>(h.note);
  if (bytes.size() < token_bytes + logit_bytes + note_bytes) return error(Code::corrupt, "{}: cut short", path);
  std::vector<TokenId> tokens(static_cast<size_t>(h.tokens));
  std::memcpy(tokens.data(), bytes.data(), token_bytes);
  for (TokenId id : tokens)
    if (id < 0 || id >= h.vocabulary) return error(Code::corrupt, "{}: a token outside the vocabulary", path);
  std::vector<float> logits(static_cast<size_t>(h.logits));
  std::memcpy(logits.data(), bytes.data() + token_bytes, logit_bytes);
  const std::span<const std::byte> note_span = bytes.subspan(token_bytes + logit_bytes, note_bytes);
  KvSequence kv = runner_->new_sequence();
  if (Status status = kv.restore(bytes.subspan(token_bytes + logit_bytes + note_bytes)); !status.ok())
    return annotate(path, status);
  if (kv.length() > h.tokens) return error(Code::corrupt, "{}: more keys and values than tokens", path);
  if (note != nullptr) note->assign(reinterpret_cast<const char*>(note_span.data()), note_span.size());
  kv_ = std::move(kv);
  tokens_ = std::move(tokens);
  logits_ = std::move(logits);
  long_rope_ = h.long_rope != 0;
  return ok_status();
}

}  // namespace kinglet
