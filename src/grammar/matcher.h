// Follows one text through a grammar and says which tokens may come next.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "grammar/automaton.h"

namespace kinglet::grammar {

class Matcher {
 public:
  explicit Matcher(std::shared_ptr<Automaton> automaton);
  Matcher(Matcher&&) noexcept = default;
  Matcher& operator=(Matcher&&) noexcept = default;

  void reset();  ///< to the empty text
  /// As Automaton::accept: on an error the state stays.
  Status accept(std::string_view bytes);
  /// Tokens that may come next; the mask is good until the next call. Errors: as Automaton::allowed.
  Result<const TokenMask*> allowed();
  /// Bytes that have to follow, at least, until the text may end.
  int64_t bytes_to_end() const { return *bytes_to_end_after(""); }
  /// The same once `bytes` have followed; nothing where they are not allowed.
  std::optional<int64_t> bytes_to_end_after(std::string_view bytes) const;
  bool can_end() const { return place_->can_end; }
  /// Nothing more may come: the text is complete.
  bool must_end() const { return place_->must_end; }

 private:
  std::shared_ptr<Automaton> automaton_;
  std::shared_ptr<Automaton::Place> place_;
  std::shared_ptr<const TokenMask> mask_;  ///< of this place, once asked for
};

}  // namespace kinglet::grammar
