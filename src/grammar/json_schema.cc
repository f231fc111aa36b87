#include "grammar/json_schema.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "formats/json.h"
#include "grammar/json_text.h"
#include "grammar/schema_merge.h"
#include "host/error.h"

namespace kinglet::grammar {
namespace {

using Expr = Builder::Expr;

constexpr int kDeepest = 100;
constexpr int64_t kMostItems = 10'000;

const char* const kTypes[] = {"object", "array", "string", "integer", "number", "boolean", "null"};

/// Which type a keyword speaks of; null: of any.
const char* type_of_keyword(const std::string& key) {
  const std::map<std::string_view, const char*> types{
      {"properties", "object"}, {"required", "object"},         {"additionalProperties", "object"},
      {"items", "array"},       {"prefixItems", "array"},       {"minItems", "array"},
      {"maxItems", "array"},    {"pattern", "string"},          {"format", "string"},
      {"minLength", "string"},  {"maxLength", "string"},        {"minimum", "number"},
      {"maximum", "number"},    {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"}};
  const auto found = types.find(key);
  return found == types.end() ? nullptr : found->second;
}

bool is_of_type(const Json& value, const std::string& type) {
  if (type == "integer")
    return value.is_number_integer() || (value.is_number() && value.get<double>() == std::floor(value.get<double>()));
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  return type == "object" ? value.is_object() : value.is_array();
}

class Compiler {
 public:
  Compiler(Builder& builder, const Json& root) : root_(root), b_(builder), json_(b_) {}

  Result<RuleId> run() {
    const RuleId root = b_.declare("#");
    rules_["#"] = root;
    KL_ASSIGN(const Expr body, compile(root_, "#", 0));
    b_.define(root, body);
    return root;
  }

 private:
  Status refuse(const std::string& where, const std::string& what) const {
    return error(Code::unsupported, "schema, {}: {} cannot be held", where, what);
  }
  Status wrong(const std::string& where, const std::string& what) const {
    return error(Code::invalid_argument, "schema, {}: {}", where, what);
  }

  Result<Expr> compile(const Json& schema, const std::string& where, int depth) {
    if (depth > kDeepest) return refuse(where, "so deep a nesting, or an endless allOf,");
    if (schema.is_boolean()) return schema.get<bool>() ? json_.value() : b_.nothing();
    if (!schema.is_object()) return wrong(where, "a schema is an object or a boolean");
    for (const auto& [key, value] : schema.items())
      if (kind_of_keyword(key) == Keyword::refused && !says_nothing(schema, key)) return refuse(where, "'" + key + "'");
    for (const char* key : {"anyOf", "oneOf"})
      if (schema.contains(key)) return branches(schema, key, where, depth);
    if (schema.contains("$ref")) return reference(schema, where, depth);
    if (schema.contains("allOf")) return all_of(schema, where, depth);
    if (schema.contains("const") || schema.contains("enum")) return values(schema, where);
    return by_type(schema, where, depth);
  }

  /// Keywords that assert nothing without another, or with this value.
  static bool says_nothing(const Json& schema, const std::string& key) {
    if (key == "then" || key == "else") return !schema.contains("if");
    if (key == "if") return !schema.contains("then") && !schema.contains("else");
    if (key == "minContains" || key == "maxContains") return !schema.contains("contains");
    return key == "uniqueItems" && schema[key] == Json(false);
  }

  /// `schema` without `key` and without what asserts nothing.
  static Json without(const Json& schema, const char* key) {
    Json out = Json::object();
    for (const auto& [name, value] : schema.items())
      if (name != key && name != "$defs" && name != "definitions" && kind_of_keyword(name) == Keyword::held)
        out[name] = value;
    return out;
  }

  Result<const Json*> resolve(const Json& reference, const std::string& where) const {
    if (!reference.is_string()) return wrong(where, "'$ref' is no text");
    const std::string text = without_percent(reference.get_ref<const std::string&>());
    if (text.size() > 1 && text[0] == '#' && text[1] != '/') {
      if (const Json* anchored = find_anchor(root_, text.substr(1), 0)) return anchored;
    }
    if (!text.starts_with("#") || (text.size() > 1 && text[1] != '/'))
      return refuse(where, "'$ref' to '" + text + "', outside the schema,");
    const Json* at = &root_;
    for (size_t begin = 1; begin < text.size();) {
      const size_t end = std::min(text.find('/', begin + 1), text.size());
      const std::string name = unescaped(std::string_view(text).substr(begin + 1, end - begin - 1));
      if (at->is_object() && at->contains(name)) at = &(*at)[name];
      else if (at->is_array() && !name.empty() && name.size() < 7 &&
               name.find_first_not_of("0123456789") == std::string::npos && std::stoul(name) < at->size())
        at = &(*at)[std::stoul(name)];
      else return wrong(where, "'$ref' to '" + text + "', which is not there");
      begin = end;
    }
    return at;
  }

  // A fragment is written as URIs are.
  static std::string without_percent(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      const std::string_view digits = text.substr(i + 1, 2);
      const bool coded = text[i] == '%' && digits.size() == 2 &&
                         digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
      out += coded ? static_cast<char>(std::stoi(std::string(digits), nullptr, 16)) : text[i];
      if (coded) i += 2;
    }
    return out;
  }

  // In a schema without parts of another "$id": there names would be the part's own.
  static const Json* find_anchor(const Json& at, const std::string& name, int depth) {
    if (depth > kDeepest || !at.is_structured() || (depth > 0 && at.is_object() && at.contains("$id"))) return nullptr;
    if (at.is_object() && at.contains("$anchor") && at["$anchor"] == name) return &at;
    for (const auto& [key, value] : at.items()) {
      if (key == "const" || key == "enum") continue;
      if (const Json* found = find_anchor(value, name, depth + 1)) return found;
    }
    return nullptr;
  }

  static std::string unescaped(std::string_view part) {
    std::string out;
    for (size_t i = 0; i < part.size(); ++i) {
      if (part[i] == '~' && i + 1 < part.size() && (part[i + 1] == '0' || part[i + 1] == '1'))
        out += part[++i] == '0' ? '~' : '/';
      else out += part[i];
    }
    return out;
  }

  Result<Expr> reference(const Json& schema, const std::string& where, int depth) {
    KL_ASSIGN(const Json* target, resolve(schema["$ref"], where));
    const Json rest = without(schema, "$ref");
    if (!rest.empty()) {
      KL_ASSIGN(const Json both, merge_schemas(*target, rest, where));
      return compile(both, where, depth + 1);
    }
    const auto& name = schema["$ref"].get_ref<const std::string&>();
    const auto [at, added] = rules_.try_emplace(name, 0);
    if (added) {
      const RuleId rule = at->second = b_.declare(name);
      KL_ASSIGN(const Expr body, compile(*target, name, 0));
      b_.define(rule, body);
      return b_.call(rule);
    }
    return b_.call(at->second);
  }

  Result<Expr> all_of(const Json& schema, const std::string& where, int depth) {
    if (!schema["allOf"].is_array()) return wrong(where, "'allOf' is no array");
    Json all = without(schema, "allOf");
    for (const Json& part : schema["allOf"]) {
      const bool refers = part.is_object() && part.contains("$ref") && part.size() == 1;
      const Json* one = &part;
      if (refers) {
        KL_ASSIGN(one, resolve(part["$ref"], where));
      }
      KL_ASSIGN(all, merge_schemas(all, *one, where));
    }
    return compile(all, where, depth + 1);
  }

  Result<Expr> branches(const Json& schema, const char* key, const std::string& where, int depth) {
    if (!schema[key].is_array() || schema[key].empty())
      return wrong(where, std::string("'") + key + "' is no array of schemas");
    const Json rest = without(schema, key);
    std::vector<Json> all;
    for (const Json& branch : schema[key]) {
      const Json* one = &branch;
      const bool refers = branch.is_object() && branch.contains("$ref") && (branch.size() == 1);
      if (refers && (!rest.empty() || key == std::string_view("oneOf"))) {
        KL_ASSIGN(one, resolve(branch["$ref"], where));
      }
      all.push_back(*one);
    }
    if (key == std::string_view("oneOf"))
      for (size_t i = 0; i < all.size(); ++i)
        for (size_t j = 0; j < i; ++j)
          if (!exclude_each_other(all[i], all[j]))
            return refuse(where, "'oneOf' whose branches may both hold (use anyOf)");
    std::vector<Expr> out;
    for (size_t i = 0; i < all.size(); ++i) {
      const std::string at = where + "/" + key + "/" + std::to_string(i);
      // A branch that refers and stands alone stays a reference: it may be recursive.
      const Json& plain = rest.empty() ? schema[key][i] : all[i];
      Json merged = plain;
      if (!rest.empty()) {
        KL_ASSIGN(merged, merge_schemas(rest, plain, at));
      }
      KL_ASSIGN(const Expr e, compile(merged, at, depth + 1));
      out.push_back(e);
    }
    return b_.choice(std::move(out));
  }

  // Whether no value can satisfy both: types that differ, values that differ, or a required property that does.
  bool exclude_each_other(const Json& a, const Json& b) const {
    if (!a.is_object() || !b.is_object()) return false;
    const std::vector<std::string> of_a = types_of(a), of_b = types_of(b);
    const bool share = std::any_of(of_a.begin(), of_a.end(), [&](const std::string& t) {
      return std::any_of(of_b.begin(), of_b.end(), [&](const std::string& u) {
        return t == u || (t == "integer" && u == "number") || (t == "number" && u == "integer");
      });
    });
    if (!share) return true;
    const Json values_a = listed(a), values_b = listed(b);
    if (!values_a.is_null() && !values_b.is_null())
      return std::none_of(values_a.begin(), values_a.end(), [&](const Json& v) {
        return std::find(values_b.begin(), values_b.end(), v) != values_b.end();
      });
    if (of_a != std::vector<std::string>{"object"} || of_b != of_a || !a.contains("properties") ||
        !b.contains("properties"))
      return false;
    for (const auto& [name, schema] : a["properties"].items())
      if (requires_property(a, name) && requires_property(b, name) && b["properties"].contains(name) &&
          exclude_each_other(schema, b["properties"][name]))
        return true;
    return false;
  }
  static Json listed(const Json& schema) {
    if (schema.contains("const")) return Json::array({schema["const"]});
    return schema.contains("enum") ? schema["enum"] : Json();
  }
  static bool requires_property(const Json& schema, const std::string& name) {
    return schema.contains("required") && schema["required"].is_array() &&
           std::find(schema["required"].begin(), schema["required"].end(), Json(name)) != schema["required"].end();
  }

  // The types that a schema names, or those that its keywords speak of; all where it says nothing.
  static std::vector<std::string> types_of(const Json& schema) {
    std::vector<std::string> out;
    const auto add = [&](const std::string& t) {
      if (std::find(out.begin(), out.end(), t) == out.end()) out.push_back(t);
    };
    if (schema.contains("type")) {
      for (const Json& t : schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]}))
        add(t.is_string() ? t.get<std::string>() : "?");
    } else if (schema.contains("const") || schema.contains("enum")) {
      for (const Json& v : listed(schema))
        for (const char* t : kTypes)
          if (is_of_type(v, t)) add(t);
    } else {
      for (const auto& [key, value] : schema.items())
        if (const char* t = type_of_keyword(key)) add(t);
      if (out.empty()) out.assign(std::begin(kTypes), std::end(kTypes));
    }
    return out;
  }

  // Listed values: those that the other keywords allow, each written in one way.
  Result<Expr> values(const Json& schema, const std::string& where) {
    Json all = listed(schema);
    if (!all.is_array()) return wrong(where, "'enum' is no array");
    if (schema.contains("const") && schema.contains("enum")) {
      const Json& other = schema["enum"];
      all = std::find(other.begin(), other.end(), schema["const"]) == other.end() ? Json::array() : all;
    }
    for (const auto& [key, value] : schema.items())
      if (type_of_keyword(key) != nullptr) return refuse(where, "'" + key + "' beside listed values");
    const std::vector<std::string> types = schema.contains("type") ? types_of(schema) : std::vector<std::string>();
    std::vector<Expr> out;
    for (const Json& value : all) {
      const bool fits =
          types.empty() || std::any_of(types.begin(), types.end(), [&](const auto& t) { return is_of_type(value, t); });
      if (fits) out.push_back(b_.text(to_text(value)));
    }
    return b_.choice(std::move(out));
  }

  Result<Expr> by_type(const Json& schema, const std::string& where, int depth) {
    bool says_something = schema.contains("type");
    for (const auto& [key, value] : schema.items()) says_something = says_something || type_of_keyword(key) != nullptr;
    if (!says_something) return json_.value();
    std::vector<Expr> out;
    for (const std::string& type : types_of(schema)) {
      KL_ASSIGN(const Expr e, of_type(type, schema, where, depth));
      out.push_back(e);
    }
    return out.size() == 1 ? out[0] : b_.choice(std::move(out));
  }

  Result<Expr> of_type(const std::string& type, const Json& schema, const std::string& where, int depth) {
    if (type == "object") return object(schema, where, depth);
    if (type == "array") return array(schema, where, depth);
    if (type == "string") return string(schema, where);
    if (type == "integer") return integer(schema, where);
    if (type == "number") return number(schema, where);
    if (type == "boolean") return json_.boolean();
    if (type == "null") return json_.null();
    return wrong(where, "'type' is none of JSON's");
  }

  Result<int64_t> count(const Json& schema, const char* key, int64_t otherwise, const std::string& where) const {
    if (!schema.contains(key)) return otherwise;
    const Json& value = schema[key];
    if (!value.is_number() || value.get<double>() < 0 || value.get<double>() != std::floor(value.get<double>()))
      return wrong(where, std::string("'") + key + "' is no count");
    if (value.get<double>() > static_cast<double>(kMostItems))
      return refuse(where, std::string("'") + key + "' above " + std::to_string(kMostItems));
    return static_cast<int64_t>(value.get<double>());
  }

  Result<Expr> string(const Json& schema, const std::string& where) {
    KL_ASSIGN(const int64_t min, count(schema, "minLength", 0, where));
    KL_ASSIGN(const int64_t max, count(schema, "maxLength", kUnbounded, where));
    const bool has_length = min > 0 || max != kUnbounded;
    if (schema.contains("pattern")) {
      if (has_length || schema.contains("format")) return refuse(where, "'pattern' beside a length or a format");
      if (!schema["pattern"].is_string()) return wrong(where, "'pattern' is no text");
      const auto out = json_.string_matching(schema["pattern"].get_ref<const std::string&>());
      return out.ok() ? *out : Result<Expr>(annotate("schema, " + where, out.status()));
    }
    if (schema.contains("format")) {
      if (has_length) return refuse(where, "'format' beside a length");
      if (!schema["format"].is_string()) return wrong(where, "'format' is no text");
      const auto out = json_.string_of_format(schema["format"].get_ref<const std::string&>());
      if (!out) return refuse(where, "'format' " + to_text(schema["format"]));
      return *out;
    }
    if (max != kUnbounded && max < min) return wrong(where, "'maxLength' is below 'minLength'");
    return json_.string(min, max);
  }

  // A bound as a whole number: for integers rounded to the side where they are.
  Result<std::optional<int64_t>> bound(const Json& schema, const char* key, bool whole, double (*round)(double),
                                       const std::string& where) const {
    if (!schema.contains(key)) return std::optional<int64_t>();
    if (!schema[key].is_number()) return wrong(where, std::string("'") + key + "' is no number");
    const double value = schema[key].get<double>(), rounded = round(value);
    if ((!whole && rounded != value) || std::fabs(rounded) > 9e15)
      return refuse(where, std::string("'") + key + "' of " + to_text(schema[key]));
    return std::optional(static_cast<int64_t>(rounded));
  }

  Result<Expr> integer(const Json& schema, const std::string& where) {
    KL_ASSIGN(auto min, bound(schema, "minimum", true, std::ceil, where));
    KL_ASSIGN(auto max, bound(schema, "maximum", true, std::floor, where));
    KL_ASSIGN(const auto above, bound(schema, "exclusiveMinimum", true, std::floor, where));
    KL_ASSIGN(const auto below, bound(schema, "exclusiveMaximum", true, std::ceil, where));
    if (above) min = std::max(min.value_or(*above + 1), *above + 1);
    if (below) max = std::min(max.value_or(*below - 1), *below - 1);
    if (min && max && *max < *min) return b_.nothing();
    return json_.integer({min, max});
  }

  Result<Expr> number(const Json& schema, const std::string& where) {
    KL_ASSIGN(const auto min, bound(schema, "minimum", false, std::floor, where));
    KL_ASSIGN(const auto max, bound(schema, "maximum", false, std::floor, where));
    KL_ASSIGN(const auto above, bound(schema, "exclusiveMinimum", false, std::floor, where));
    KL_ASSIGN(const auto below, bound(schema, "exclusiveMaximum", false, std::floor, where));
    NumberRange range{min, max};
    if (above && (!min || *above >= *min)) range.min = above, range.above_min = true;
    if (below && (!max || *below <= *max)) range.max = below, range.below_max = true;
    if (range.min && range.max && *range.max < *range.min) return b_.nothing();
    return json_.number(range);
  }

  Result<Expr> array(const Json& schema, const std::string& where, int depth) {
    KL_ASSIGN(const int64_t min, count(schema, "minItems", 0, where));
    KL_ASSIGN(const int64_t max, count(schema, "maxItems", kUnbounded, where));
    std::vector<Expr> first;
    if (schema.contains("prefixItems")) {
      if (!schema["prefixItems"].is_array()) return wrong(where, "'prefixItems' is no array");
      for (const Json& item : schema["prefixItems"]) {
        KL_ASSIGN(const Expr e, named(item, where + "/prefixItems/" + std::to_string(first.size()), depth));
        first.push_back(e);
      }
    }
    std::optional<Expr> rest;
    if (!schema.contains("items")) {
      if (first.empty()) rest = json_.value();  // a tuple that says nothing of more ends where it ends
    } else if (schema["items"] != Json(false)) {
      KL_ASSIGN(rest, named(schema["items"], where + "/items", depth));
    }
    const auto known = static_cast<int64_t>(first.size());
    if ((max != kUnbounded && max < min) || (!rest && min > known)) return b_.nothing();
    // From the last one back: each item may be followed by the rest, or (behind minItems) by nothing.
    Expr tail = b_.empty();
    if (rest && (max == kUnbounded || max > known)) {
      const Expr more = b_.sequence({b_.text(","), json_.space(), *rest});
      const int64_t at_least = std::max<int64_t>(0, min - std::max<int64_t>(known, 1)),
                    at_most = max == kUnbounded ? max : max - std::max<int64_t>(known, 1);
      tail = b_.repeat(more, at_least, at_most);
      if (known == 0) {
        tail = b_.sequence({*rest, tail});
        if (min == 0) tail = b_.optional(tail);
      }
    }
    for (int64_t i = std::min(known, max == kUnbounded ? known : max); i-- > 0;) {
      const Expr item = first[static_cast<size_t>(i)];
      tail = b_.sequence({i == 0 ? item : b_.sequence({b_.text(","), json_.space(), item}), tail});
      if (i >= min) tail = b_.optional(tail);
    }
    return b_.sequence({b_.text("["), json_.space(), tail, json_.space(), b_.text("]")});
  }

  /// A rule of its own: what is used several times is compiled once.
  Result<Expr> named(const Json& schema, const std::string& where, int depth) {
    KL_ASSIGN(const Expr e, compile(schema, where, depth + 1));
    return b_.named(where, e);
  }

  struct Property {
    Expr member;
    bool required;
  };

  Result<Expr> object(const Json& schema, const std::string& where, int depth) {
    const Json none = Json::object(), no_names = Json::array();
    const Json& properties = schema.contains("properties") ? schema["properties"] : none;
    const Json& required = schema.contains("required") ? schema["required"] : no_names;
    if (!properties.is_object()) return wrong(where, "'properties' is no object");
    if (!required.is_array()) return wrong(where, "'required' is no array");
    const bool says = schema.contains("additionalProperties");
    const Json additional = says ? schema["additionalProperties"] : Json(true);
    std::vector<Property> all;
    std::vector<std::string> names;
    const auto add = [&](const std::string& name, const Json& value, bool must) -> Status {
      KL_ASSIGN(const Expr e, named(value, where + "/properties/" + name, depth));
      const std::string key = to_text(Json(name));
      all.push_back({b_.sequence({b_.text(key + ":"), json_.space(), e}), must});
      names.push_back(name);
      return ok_status();
    };
    for (const auto& [name, value] : properties.items()) KL_TRY(add(name, value, requires_property(schema, name)));
    for (const Json& name : required) {
      if (!name.is_string()) return wrong(where, "'required' holds what is no name");
      const auto& text = name.get_ref<const std::string&>();
      if (std::find(names.begin(), names.end(), text) == names.end()) KL_TRY(add(text, additional, true));
    }
    if (all.empty() && additional == Json(true)) return json_.object();
    std::optional<Expr> other;
    if (says && additional != Json(false)) {
      KL_ASSIGN(const Expr e, named(additional, where + "/additionalProperties", depth));
      other = b_.sequence({json_.string_other_than(names), b_.text(":"), json_.space(), e});
    }
    return b_.sequence({b_.text("{"), json_.space(), members(all, other), json_.space(), b_.text("}")});
  }

  // The members in order with commas between those that are there. rest[i]: what may follow once a member has been written before property i.
  Expr members(const std::vector<Property>& all, std::optional<Expr> other) {
    const auto after_comma = [&](Expr e) { return b_.sequence({b_.text(","), json_.space(), e}); };
    Expr rest = other ? b_.repeat(after_comma(*other), 0, kUnbounded) : b_.empty();
    Expr first = other ? b_.optional(b_.sequence({*other, rest})) : b_.empty();
    for (size_t i = all.size(); i-- > 0;) {
      const Expr begun = b_.named("members", rest);
      const Expr here = b_.sequence({all[i].member, begun});
      first = all[i].required ? here : b_.choice({here, first});
      const Expr more = after_comma(all[i].member);
      rest = b_.sequence({all[i].required ? more : b_.optional(more), begun});
    }
    return first;
  }

  const Json& root_;
  Builder& b_;
  JsonText json_;
  std::map<std::string, RuleId> rules_;  // of each $ref
};

}  // namespace

Result<Grammar> compile_json_schema(const Json& schema) {
  Builder builder;
  KL_ASSIGN(const RuleId root, Compiler(builder, schema).run());
  return builder.build(root);
}

Result<Builder::Expr> json_schema_text(Builder& builder, const Json& schema) {
  const Builder::Mark before = builder.mark();
  const auto root = Compiler(builder, schema).run();
  if (root.ok()) return builder.call(*root);
  builder.rollback(before);
  return root.status();
}

Result<Grammar> any_json_object() { return compile_json_schema(Json{{"type", "object"}}); }

}  // namespace kinglet::grammar
