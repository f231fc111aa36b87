#include "grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "host/error.h"

namespace kinglet::grammar {
namespace {

constexpr std::array<std::string_view, 24> kHeld{"type",
                                                 "properties",
                                                 "required",
                                                 "additionalProperties",
                                                 "items",
                                                 "prefixItems",
                                                 "minItems",
                                                 "maxItems",
                                                 "enum",
                                                 "const",
                                                 "anyOf",
                                                 "oneOf",
                                                 "allOf",
                                                 "$ref",
                                                 "pattern",
                                                 "format",
                                                 "minLength",
                                                 "maxLength",
                                                 "minimum",
                                                 "maximum",
                                                 "exclusiveMinimum",
                                                 "exclusiveMaximum",
                                                 "$defs",
                                                 "definitions"};
constexpr std::array<std::string_view, 17> kRefused{"not",
                                                    "if",
                                                    "then",
                                                    "else",
                                                    "dependentSchemas",
                                                    "dependentRequired",
                                                    "patternProperties",
                                                    "propertyNames",
                                                    "minProperties",
                                                    "maxProperties",
                                                    "uniqueItems",
                                                    "contains",
                                                    "minContains",
                                                    "maxContains",
                                                    "multipleOf",
                                                    "unevaluatedProperties",
                                                    "unevaluatedItems"};

Json all_of(const Json& a, const Json& b) { return a == b ? a : Json{{"allOf", Json::array({a, b})}}; }

Json type_list(const Json& type) { return type.is_array() ? type : Json::array({type}); }

Result<Json> merge_types(const Json& a, const Json& b, const std::string& where) {
  Json out = Json::array();
  const Json of_b = type_list(b);
  const auto has = [](const Json& list, const char* type) {
    return std::find(list.begin(), list.end(), Json(type)) != list.end();
  };
  for (const Json& type : type_list(a)) {
    if (std::find(of_b.begin(), of_b.end(), type) != of_b.end()) out.push_back(type);
    else if (type == "integer" && has(of_b, "number")) out.push_back(type);
    else if (type == "number" && has(of_b, "integer")) out.push_back("integer");
  }
  if (out.empty()) return error(Code::invalid_argument, "{}: no type satisfies all of allOf", where);
  return out;
}

Json merge_properties(const Json& a, const Json& b) {
  Json out = a;
  for (const auto& [name, schema] : b.items()) out[name] = a.contains(name) ? all_of(a[name], schema) : schema;
  return out;
}

bool is_closed(const Json& schema) {
  return schema.contains("additionalProperties") && schema["additionalProperties"] != Json(true);
}

// Where one of two schemas bounds the other properties, what the other names besides is not what it seems.
Status check_properties(const Json& a, const Json& b, const std::string& where) {
  if (!is_closed(a) || !b.contains("properties")) return ok_status();
  for (const auto& [name, schema] : b["properties"].items())
    if (!a.contains("properties") || !a["properties"].contains(name))
      return error(Code::unsupported,
                   "{}: allOf of 'additionalProperties' and of a property that it bounds ({}) cannot be held", where,
                   name);
  return ok_status();
}

Json union_of(const Json& a, const Json& b) {
  Json out = a;
  for (const Json& x : b)
    if (std::find(out.begin(), out.end(), x) == out.end()) out.push_back(x);
  return out;
}

Json intersection_of(const Json& a, const Json& b) {
  Json out = Json::array();
  for (const Json& x : a)
    if (std::find(b.begin(), b.end(), x) != b.end()) out.push_back(x);
  return out;
}

Result<Json> merge_keyword(const std::string& key, const Json& a, const Json& b, const std::string& where) {
  if (a == b || kind_of_keyword(key) == Keyword::annotation) return a;
  if (key == "type") return merge_types(a, b, where);
  if (key == "properties" && a.is_object() && b.is_object()) return merge_properties(a, b);
  if (key == "required" && a.is_array() && b.is_array()) return union_of(a, b);
  if (key == "enum" && a.is_array() && b.is_array()) return intersection_of(a, b);
  if (key == "additionalProperties") return all_of(a, b);
  const bool numbers = a.is_number() && b.is_number();
  if (numbers && (key.starts_with("min") || key == "exclusiveMinimum")) return a < b ? b : a;
  if (numbers && (key.starts_with("max") || key == "exclusiveMaximum")) return a < b ? a : b;
  return error(Code::unsupported, "{}: allOf of two different '{}' cannot be held", where, key);
}

// What a schema of arrays says of item `i`.
Json item_of(const Json& schema, size_t i) {
  if (schema.contains("prefixItems") && i < schema["prefixItems"].size()) return schema["prefixItems"][i];
  return schema.contains("items") ? schema["items"] : Json(true);
}

// "items" speaks of what is behind its own schema's "prefixItems" only, so two lists are merged item by item.
Status merge_items(const Json& a, const Json& b, Json& out, const std::string& where) {
  size_t known = 0;
  for (const Json* schema : {&a, &b}) {
    if (!schema->contains("prefixItems")) continue;
    if (!(*schema)["prefixItems"].is_array())
      return error(Code::invalid_argument, "{}: 'prefixItems' is no array", where);
    known = std::max(known, (*schema)["prefixItems"].size());
  }
  Json first = Json::array();
  for (size_t i = 0; i < known; ++i) first.push_back(all_of(item_of(a, i), item_of(b, i)));
  if (known > 0) out["prefixItems"] = std::move(first);
  if (a.contains("items") || b.contains("items")) out["items"] = all_of(item_of(a, known), item_of(b, known));
  return ok_status();
}

}  // namespace

Keyword kind_of_keyword(const std::string& keyword) {
  if (std::find(kHeld.begin(), kHeld.end(), keyword) != kHeld.end()) return Keyword::held;
  if (std::find(kRefused.begin(), kRefused.end(), keyword) != kRefused.end()) return Keyword::refused;
  return keyword == "$dynamicRef" || keyword == "$recursiveRef" ? Keyword::refused : Keyword::annotation;
}

Result<Json> merge_schemas(const Json& a, const Json& b, const std::string& where) {
  if (a.is_boolean()) return a.get<bool>() ? b : a;
  if (b.is_boolean()) return b.get<bool>() ? a : b;
  if (!a.is_object() || !b.is_object())
    return error(Code::invalid_argument, "{}: a schema is an object or a boolean", where);
  KL_TRY(check_properties(a, b, where));
  KL_TRY(check_properties(b, a, where));
  Json out = a;
  KL_TRY(merge_items(a, b, out, where));
  for (const auto& [key, value] : b.items()) {
    if (key == "items" || key == "prefixItems") continue;
    if (!a.contains(key)) {
      out[key] = value;
    } else if (key == "allOf") {
      for (const Json& part : value) out[key].push_back(part);
    } else if ((key == "anyOf" || key == "oneOf" || key == "$ref") && a[key] != value) {
      // A second one goes into an allOf of its own.
      if (!out.contains("allOf")) out["allOf"] = Json::array();
      out["allOf"].push_back(Json{{key, value}});
    } else {
      KL_ASSIGN(out[key], merge_keyword(key, a[key], value, where));
    }
  }
  return out;
}

}  // namespace kinglet::grammar
