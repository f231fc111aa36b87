// How tokenize and detokenize open the tokenizer of a MODEL: its weights may be absent and are not read.
#pragma once

#include <string>

#include "tokenizer/tokenizer.h"

namespace kinglet::cli {

/// Errors: not_found (with what to run where it can be pulled), and the readers' own.
Result<Tokenizer> load_tokenizer(const std::string& name);

}  // namespace kinglet::cli
