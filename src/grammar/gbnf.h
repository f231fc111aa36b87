// Grammars in GBNF, the notation of llama.cpp (its grammars/README.md).
#pragma once

#include <string_view>

#include "grammar/grammar.h"

namespace kinglet::grammar {

/// Rules `name ::= ...` of literals "...", classes [a-z] and [^a-z], `.`, groups, alternatives and quantifiers; the text must match `root`.
/// Errors: invalid_argument (with the line), and those of Builder::build.
Result<Grammar> parse_gbnf(std::string_view source);

}  // namespace kinglet::grammar
