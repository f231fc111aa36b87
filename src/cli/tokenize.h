// What `kinglet tokenize` prints, apart from how it is asked.
#pragma once

#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace kinglet::cli {

struct TokenizeOptions {
  SpecialTokens special = SpecialTokens::as_text;
  bool bos = false;  ///< begin with the model's BOS token
};

/// Ids of `text`. Errors: unsupported where BOS is asked for and the model has none.
Result<std::vector<TokenId>> tokenize_text(const Tokenizer& tokenizer, std::string_view text,
                                           const TokenizeOptions& options);

/// One JSON string a line in, one JSON array of ids a line out. Errors: invalid_argument, with the line.
Status tokenize_json_lines(const Tokenizer& tokenizer, const TokenizeOptions& options, std::istream& in,
                           std::ostream& out);

/// A table for people: each id beside its piece.
std::string token_table(const Tokenizer& tokenizer, const std::vector<TokenId>& ids);

/// `bytes` in double quotes, with what does not print as escapes, so that every byte can be seen.
std::string quoted_piece(std::string_view bytes);

}  // namespace kinglet::cli
