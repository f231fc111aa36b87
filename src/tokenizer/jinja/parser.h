// Tokens to a tree, by jinja2's grammar.
#pragma once

#include <string_view>

#include "tokenizer/jinja/ast.h"

namespace kinglet::jinja {

/// Throws Failure with the line: not well-formed, outside the subset (by name), or nested deeper than the limit.
/// `heap` holds the constants and must outlive the tree.
Ast parse(Heap& heap, std::string_view source);

}  // namespace kinglet::jinja
