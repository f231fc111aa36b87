// allOf: two schemas as one that asks for both.
#pragma once

#include <string>

#include "base/status.h"
#include "formats/json.h"

namespace kinglet::grammar {

/// What a keyword is to the compiler.
enum class Keyword : uint8_t {
  held,
  annotation,  ///< changes nothing about which values are valid
  refused,     ///< asserts something that is not held
};
Keyword kind_of_keyword(const std::string& keyword);

/// A schema that asks for what `a` and `b` ask. Subschemas that both have become an allOf. Errors: unsupported where that cannot be said in
/// one schema, naming the keyword.
Result<Json> merge_schemas(const Json& a, const Json& b, const std::string& where);

}  // namespace kinglet::grammar
