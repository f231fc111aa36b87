// What calls of a request's tools may look like, as a grammar of the model family's form.
#pragma once

#include "grammar/grammar.h"
#include "server/chat_family.h"
#include "server/tool_request.h"

namespace kinglet::server {

/// The text of one or more calls, from the family's marker on. Where `schema` is not null, a value of it is allowed as well. Errors: those of
/// compile_json_schema for parameters that cannot be held exactly: but where calls are neither required nor strict, such a function takes
/// any object, and all do where the grammar would be too large.
Result<grammar::Grammar> tool_grammar(const ChatFamily& family, const ToolUse& use, const Json* schema);

}  // namespace kinglet::server
