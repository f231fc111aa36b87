// JSON Schema (2020-12) to a grammar of the JSON texts that satisfy it.
#pragma once

#include "formats/json_fwd.h"
#include "grammar/builder.h"
#include "grammar/grammar.h"

namespace kinglet::grammar {

/// Every text that the grammar allows satisfies `schema`. It need not allow all that do: properties come in the order in which the schema
/// names them, objects that name properties have no others unless additionalProperties says of what kind, and white space is limited.
///
/// Held: type, properties, required, additionalProperties, items, prefixItems, minItems, maxItems, enum, const, anyOf, oneOf (of branches that
/// exclude each other), allOf, $ref (inside the schema, recursive ones too), pattern, format, minLength, maxLength, minimum, maximum,
/// exclusiveMinimum, exclusiveMaximum, and annotations.
/// Errors: unsupported, with the keyword and its place, for all that could not be held exactly; invalid_argument (no schema; no value
/// satisfies it); resource_exhausted (too large).
Result<Grammar> compile_json_schema(const Json& schema);

/// The same as a part of a larger grammar. On an error `builder` is as it was.
Result<Builder::Expr> json_schema_text(Builder& builder, const Json& schema);

/// Any JSON object: what "response_format": "json_object" asks for.
Result<Grammar> any_json_object();

}  // namespace kinglet::grammar
