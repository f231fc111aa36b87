#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "host/error.h"

namespace kinglet {
namespace {

constexpr size_t kMaxPattern = 64 << 10;
constexpr uint32_t kMatchLimit = 50'000'000;
constexpr size_t kJitStackStart = 32 << 10, kJitStackMax = 16 << 20;

/// What a thread matches with: results and a stack are no part of the compiled pattern.
struct MatchState {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr);
  pcre2_match_data* data = pcre2_match_data_create(32, nullptr);

  MatchState() {
    if (context == nullptr) return;
    pcre2_set_match_limit(context, kMatchLimit);
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
  ~MatchState() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    if (stack != nullptr) pcre2_jit_stack_free(stack);
  }
};

}  // namespace

struct Regex::Impl {
  pcre2_code* code = nullptr;
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { pcre2_code_free(code); }
};

Regex::Regex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPattern) return error(Code::corrupt, "a regular expression of {} bytes", pattern.size());
  int reason = 0;
  PCRE2_SIZE place = 0;
  auto impl = std::make_unique<Impl>();
  impl->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &reason, &place,
                             nullptr);
  if (impl->code == nullptr) {
    unsigned char text[256] = {};
    pcre2_get_error_message(reason, text, sizeof text);
    return error(Code::corrupt, "regular expression, at character {}: {}", place, reinterpret_cast<char*>(text));
  }
  pcre2_jit_compile(impl->code, PCRE2_JIT_COMPLETE);  // where there is no JIT the interpreter matches
  return Regex(std::move(impl));
}

bool Regex::find(std::string_view text, size_t from, size_t& begin, size_t& end) const {
  static thread_local MatchState state;
  if (state.data == nullptr || state.context == nullptr) return false;
  const int count = pcre2_match(impl_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, 0,
                                state.data, state.context);
  if (count <= 0) return false;
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(state.data);
  begin = offsets[0];
  end = offsets[1];
  return begin <= end && begin >= from && end <= text.size();
}

}  // namespace kinglet
