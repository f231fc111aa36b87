// Errors are values: Status says what went wrong in one line, Result<T> holds a value or a Status.
// Part of the core ring: no heap, no exceptions, no printing. The host ring composes messages with
// host/error.h (fmt); the core ring uses literals and the small appenders below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace kinglet {

/// What kind of failure; commands map it to their exit code (see cli/exit_code.h).
enum class Code : uint8_t {
  ok = 0,
  invalid_argument,    ///< the caller's words are off
  not_found,           ///< a file, tensor, key or name that is not there
  corrupt,             ///< a file or message that breaks its own format
  unsupported,         ///< well-formed, and not something Kinglet can do
  out_of_range,        ///< a number outside what is allowed
  resource_exhausted,  ///< memory, context or another limit is used up
  io,                  ///< the operating system refused a read or a write
  cancelled,           ///< someone asked for it to stop
  internal,            ///< a bug in Kinglet
};

/// A code and one line of text (at most kCapacity bytes; a longer one ends in "..."). Ok carries no text.
class [[nodiscard]] Status {
 public:
  static constexpr size_t kCapacity = 500;

  Status() = default;  ///< ok
  Status(Code code, std::string_view text) : code_(code) { append(text); }

  bool ok() const { return code_ == Code::ok; }
  Code code() const { return code_; }
  std::string_view text() const { return {text_, size_}; }

  Status& append(std::string_view text) {
    for (char c : text) {
      if (size_ == kCapacity) {
        text_[size_ - 1] = text_[size_ - 2] = text_[size_ - 3] = '.';
        break;
      }
      text_[size_++] = c;
    }
    return *this;
  }
  Status& append(int64_t value) {
    char digits[24];
    size_t n = 0;
    uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    do digits[n++] = static_cast<char>('0' + magnitude % 10);
    while (magnitude /= 10);
    if (value < 0) digits[n++] = '-';
    while (n > 0) append(std::string_view(&digits[--n], 1));
    return *this;
  }

 private:
  Code code_ = Code::ok;
  uint16_t size_ = 0;
  char text_[kCapacity] = {};
};

inline Status ok_status() { return {}; }

/// A value of T, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(status) {      // NOLINT(google-explicit-constructor)
    if (status_.ok()) status_ = Status(Code::internal, "a Result was made from an ok Status");
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

#define KINGLET_CONCAT_INNER(a, b) a##b
#define KINGLET_CONCAT(a, b) KINGLET_CONCAT_INNER(a, b)

/// Returns from the enclosing function when the Status is not ok.
#define KL_TRY(expression) \
  do { \
    if (auto kl_status = (expression); !kl_status.ok()) { \
      return kl_status; \
    } \
  } while (false)

/// KL_ASSIGN(auto x, f()): x is the value of the Result, or the enclosing function returns its Status.
#define KL_ASSIGN(declaration, expression) \
  KL_ASSIGN_INNER(KINGLET_CONCAT(kl_result_, __LINE__), declaration, expression)
#define KL_ASSIGN_INNER(result, declaration, expression) \
  auto result = (expression); \
  if (!result.ok()) return result.status(); \
  declaration = *std::move(result)

}  // namespace kinglet
