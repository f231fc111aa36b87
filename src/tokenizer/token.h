// What everything here speaks of: ids of tokens.
#pragma once

#include <cstdint>

namespace kinglet {

using TokenId = int32_t;

/// Special tokens in a user's text are text unless asked for.
enum class SpecialTokens { as_text, parse };

}  // namespace kinglet
