// Regular expressions of tokenizer files, by PCRE2 with its JIT compiler. The only file that sees PCRE2's header is
// regex.cc.
#pragma once

#include <memory>
#include <string_view>

#include "base/status.h"

namespace kinglet {

class Regex {
 public:
  /// Unicode classes, UTF-8; invalid bytes of a text are never part of a match. Errors: corrupt, with PCRE2's reason.
  static Result<Regex> compile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// The first match at or after `from`. False where there is none, or where matching costs more than the limits allow.
  bool find(std::string_view text, size_t from, size_t& begin, size_t& end) const;

 private:
  struct Impl;
  explicit Regex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kinglet
