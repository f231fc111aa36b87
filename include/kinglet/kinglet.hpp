// Kinglet's C++ interface (C++17 and later): the C one with owners, values for errors, and callables.
// Header only, over the stable C functions of kinglet.h. Nothing here throws, but for what a caller's own callback
// throws, which comes back out of the call that ran it, and std::bad_alloc of the caller's vectors and strings.
#pragma once

#include <kinglet/kinglet.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kinglet {
// The version keeps these names apart from those inside the library.
inline namespace v1 {

using Token = kinglet_token;

/// A failure: its kind and one line of text.
struct Error {
  kinglet_code code = KINGLET_OK;
  std::string text;
};

/// A value, or the Error that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return error_; }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Error error_;
};

/// How to choose each next token, and when to stop; see kinglet_sampling.
struct Sampling {
  Sampling() { kinglet_sampling_init(&c); }
  Sampling& max_tokens(int32_t value) {
    c.max_tokens = value;
    return *this;
  }
  Sampling& temperature(float value) {
    c.temperature = value;
    return *this;
  }
  Sampling& top_k(int32_t value) {
    c.top_k = value;
    return *this;
  }
  Sampling& top_p(float value) {
    c.top_p = value;
    return *this;
  }
  Sampling& min_p(float value) {
    c.min_p = value;
    return *this;
  }
  Sampling& seed(uint64_t value) {
    c.seed = value;
    return *this;
  }
  Sampling& stops(std::vector<std::string> texts) {
    stop_texts = std::move(texts);
    return *this;
  }

  kinglet_sampling c{};
  std::vector<std::string> stop_texts;
};

/// What came of generating.
struct Answer {
  std::string text;
  kinglet_stop_reason reason = KINGLET_STOP_END;
  int32_t prompt_tokens = 0;
  int32_t answer_tokens = 0;
  double prompt_seconds = 0;
  double answer_seconds = 0;
};

/// Takes each piece of an answer as it comes; true to go on.
using OnText = std::function<bool(std::string_view)>;

/// The library's version.
inline std::string_view version() { return kinglet_version(); }

namespace detail {

inline Error make_error(const kinglet_error& error) { return {error.code, error.text}; }

struct CloseModel {
  void operator()(kinglet_model* model) const { kinglet_model_close(model); }
};
struct CloseSession {
  void operator()(kinglet_session* session) const { kinglet_session_close(session); }
};

/// What the C callback sees: it gathers the answer and keeps an exception of the caller's from crossing the library.
struct Stream {
  const OnText* on_text;
  std::string text;
  std::exception_ptr thrown;

  static int receive(const char* text, size_t size, void* user) noexcept {
    auto* stream = static_cast<Stream*>(user);
    try {
      stream->text.append(text, size);
      if (*stream->on_text && !(*stream->on_text)(std::string_view(text, size))) return 1;
      return 0;
    } catch (...) {
      stream->thrown = std::current_exception();
      return 1;
    }
  }
};

}  // namespace detail

/// A text or a conversation that goes on; the model must outlive it.
class Session {
 public:
  /// Continues `text` as it stands, with no chat template.
  Result<Answer> generate(std::string_view text, const Sampling& sampling = {}, const OnText& on_text = {}) {
    return run(kinglet_generate, text, sampling, on_text);
  }

  /// Says `text` as the user and generates the assistant's answer; the session keeps both.
  Result<Answer> chat(std::string_view text, const Sampling& sampling = {}, const OnText& on_text = {}) {
    return run(kinglet_chat, text, sampling, on_text);
  }

  /// Sets the system's message of a conversation that has not begun; nothing is an error's absence.
  std::optional<Error> set_system(std::string_view text) {
    kinglet_error error{};
    if (kinglet_set_system(handle_.get(), text.data(), text.size(), &error) != KINGLET_OK)
      return detail::make_error(error);
    return std::nullopt;
  }

  void reset() { kinglet_session_reset(handle_.get()); }
  size_t length() const { return kinglet_session_length(handle_.get()); }
  kinglet_session* c() { return handle_.get(); }

 private:
  friend class Model;
  explicit Session(kinglet_session* handle) : handle_(handle) {}

  Result<Answer> run(decltype(&kinglet_generate) function, std::string_view text, const Sampling& sampling,
                     const OnText& on_text) {
    kinglet_sampling c = sampling.c;
    std::vector<const char*> stops;
    for (const std::string& stop : sampling.stop_texts) stops.push_back(stop.c_str());
    if (!stops.empty()) {
      c.stops = stops.data();
      c.stop_count = stops.size();
    }
    detail::Stream stream{&on_text, {}, {}};
    kinglet_answer answer{};
    answer.size = sizeof(answer);
    kinglet_error error{};
    const kinglet_code code =
        function(handle_.get(), text.data(), text.size(), &c, detail::Stream::receive, &stream, &answer, &error);
    if (stream.thrown) std::rethrow_exception(stream.thrown);
    if (code != KINGLET_OK) return detail::make_error(error);
    return Answer{std::move(stream.text), answer.reason,         answer.prompt_tokens,
                  answer.answer_tokens,   answer.prompt_seconds, answer.answer_seconds};
  }

  std::unique_ptr<kinglet_session, detail::CloseSession> handle_;
};

/// An open model.
class Model {
 public:
  struct Options {
    int32_t threads = 0;        ///< 0: one for each processor
    uint64_t memory_bytes = 0;  ///< what the library may hold in all; 0: no limit
    bool reference = false;     ///< the slow, readable kernels
  };

  /// A name that `kinglet pull` fetched, a GGUF file or a Hugging Face directory.
  static Result<Model> open(const std::string& name) { return open(name, Options()); }
  static Result<Model> open(const std::string& name, const Options& options) {
    kinglet_model_options c{};
    kinglet_model_options_init(&c);
    c.threads = options.threads;
    c.memory_bytes = options.memory_bytes;
    c.reference = options.reference ? 1 : 0;
    kinglet_model* handle = nullptr;
    kinglet_error error{};
    if (kinglet_model_open(name.c_str(), &c, &handle, &error) != KINGLET_OK) return detail::make_error(error);
    return Model(handle);
  }

  std::string_view architecture() const { return kinglet_model_architecture(handle_.get()); }
  int32_t vocab_size() const { return kinglet_model_vocab_size(handle_.get()); }
  int32_t context_length() const { return kinglet_model_context_length(handle_.get()); }
  uint64_t parameter_count() const { return kinglet_model_parameter_count(handle_.get()); }
  bool has_tokenizer() const { return kinglet_model_has_tokenizer(handle_.get()) != 0; }

  /// Tokens of `text`; flags: KINGLET_PARSE_SPECIAL, KINGLET_ADD_BOS.
  Result<std::vector<Token>> tokenize(std::string_view text, uint32_t flags = 0) const {
    kinglet_error error{};
    std::vector<Token> tokens(text.size() + 8);  // a token is at least a byte, but for a space that is put in front
    size_t count = 0;
    auto call = [&] {
      return kinglet_tokenize(handle_.get(), text.data(), text.size(), flags, tokens.data(), tokens.size(), &count,
                              &error);
    };
    kinglet_code code = call();
    if (code == KINGLET_OUT_OF_RANGE && count > tokens.size()) {
      tokens.resize(count);
      code = call();
    }
    if (code != KINGLET_OK) return detail::make_error(error);
    tokens.resize(count);
    return tokens;
  }

  /// Text of `tokens`; flags: KINGLET_PARSE_SPECIAL.
  Result<std::string> detokenize(const std::vector<Token>& tokens, uint32_t flags = 0) const {
    kinglet_error error{};
    std::string text(tokens.size() * 8, '\0');
    size_t size = 0;
    auto call = [&] {
      return kinglet_detokenize(handle_.get(), tokens.data(), tokens.size(), flags, text.data(), text.size(), &size,
                                &error);
    };
    kinglet_code code = call();
    if (code == KINGLET_OUT_OF_RANGE && size > text.size()) {
      text.resize(size);
      code = call();
    }
    if (code != KINGLET_OK) return detail::make_error(error);
    text.resize(size);
    return text;
  }

  /// Logits after each token, row by row: tokens.size() x vocab_size() numbers.
  Result<std::vector<float>> logits(const std::vector<Token>& tokens) {
    kinglet_error error{};
    std::vector<float> rows(tokens.size() * static_cast<size_t>(vocab_size()));
    if (kinglet_logits(handle_.get(), tokens.data(), tokens.size(), rows.data(), rows.size(), &error) != KINGLET_OK) {
      return detail::make_error(error);
    }
    return rows;
  }

  /// A new conversation or text, with room for `context` tokens (0: as the C interface chooses).
  Result<Session> session(int32_t context = 0) {
    kinglet_session_options c{};
    kinglet_session_options_init(&c);
    c.context = context;
    kinglet_session* handle = nullptr;
    kinglet_error error{};
    if (kinglet_session_open(handle_.get(), &c, &handle, &error) != KINGLET_OK) return detail::make_error(error);
    return Session(handle);
  }

  kinglet_model* c() { return handle_.get(); }

 private:
  explicit Model(kinglet_model* handle) : handle_(handle) {}
  std::unique_ptr<kinglet_model, detail::CloseModel> handle_;
};

}  // namespace v1
}  // namespace kinglet
