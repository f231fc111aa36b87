// Walks a parsed template and writes its text.
#pragma once

#include <cstdint>
#include <string>

#include "formats/json.h"
#include "tokenizer/jinja/ast.h"

namespace kinglet::jinja {

/// The text of `ast` with `variables` (an object) as its globals. Throws Failure with the line. `heap` counts what this
/// rendering spends.
std::string render(const Ast& ast, Heap& heap, const Json& variables, int64_t now_unix);

}  // namespace kinglet::jinja
