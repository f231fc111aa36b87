#include "server/tool_grammar.h"

#include <algorithm>

#include "formats/json.h"
#include "grammar/json_schema.h"
#include "grammar/json_text.h"
#include "host/error.h"

namespace kinglet::server {
namespace {

using grammar::Builder;
using Expr = Builder::Expr;

bool must_be_exact(const Tool& tool, const ToolUse& use) { return tool.strict || use.choice == ToolChoice::required; }

class Calls {
 public:
  enum class Arguments : uint8_t { exact, any };
  Calls(const ChatFamily& family, const ToolUse& use, Arguments arguments)
      : family_(family), use_(use), arguments_(arguments), json_(b_) {}

  Result<grammar::Grammar> run(const Json* schema) {
    std::vector<Expr> alternatives;
    for (const Tool& tool : use_.tools) {
      KL_ASSIGN(const Expr arguments, arguments_of(tool));
      alternatives.push_back(call(tool, arguments));
    }
    const Expr one = b_.named("call", b_.choice(std::move(alternatives)));
    std::vector<Expr> answers{family_.form == CallForm::list ? listed(one) : marked(one)};
    if (family_.bare) {
      answers.push_back(one);
      answers.push_back(b_.sequence({b_.text(kCallFence), json_.space(), one, json_.space(), b_.text("```")}));
    }
    if (schema != nullptr) {
      KL_ASSIGN(const Expr value, grammar::json_schema_text(b_, *schema));
      answers.push_back(value);
    }
    const grammar::RuleId root = b_.declare("answer");
    b_.define(root, b_.choice(std::move(answers)));
    return b_.build(root);
  }

 private:
  bool several() const { return family_.several && use_.parallel; }

  Result<Expr> arguments_of(const Tool& tool) {
    if (arguments_ == Arguments::any) return json_.object();
    auto exact = grammar::json_schema_text(b_, tool.parameters);
    if (exact.ok()) return exact;
    if (must_be_exact(tool, use_)) return annotate("tool " + tool.name, exact.status());
    return json_.object();
  }

  Expr call(const Tool& tool, Expr arguments) {
    const std::string name = to_text(Json(tool.name));
    std::vector<Expr> parts{b_.text("{"), json_.space()};
    if (family_.bare) {
      parts.push_back(
          b_.optional(b_.sequence({b_.text("\"type\":"), json_.space(), b_.text("\"function\","), json_.space()})));
    }
    for (const Expr e : {b_.text("\"name\":"), json_.space(), b_.text(name + ","), json_.space(),
                         b_.text("\"" + std::string(family_.arguments) + "\":"), json_.space(), arguments,
                         json_.space(), b_.text("}")}) {
      parts.push_back(e);
    }
    return b_.sequence(std::move(parts));
  }

  Expr begin() {
    std::vector<Expr> out;
    for (const std::string_view text : family_.begins()) out.push_back(b_.sequence({b_.text(text), json_.space()}));
    return b_.choice(std::move(out));
  }

  // The marker behind the list is left out: the answer has ended there.
  Expr listed(Expr one) {
    const Expr more =
        b_.repeat(b_.sequence({b_.text(","), json_.space(), one}), 0, several() ? grammar::kUnbounded : 0);
    return b_.sequence({begin(), b_.text("["), json_.space(), one, more, json_.space(), b_.text("]")});
  }

  Expr marked(Expr one) {
    std::string_view end = family_.end;
    if (end.starts_with('\n')) end.remove_prefix(1);
    const Expr whole =
        b_.named("marked", b_.sequence({begin(), one, end.empty() ? b_.empty() : json_.space(), b_.text(end)}));
    return b_.sequence({whole, b_.repeat(b_.sequence({json_.space(), whole}), 0, several() ? grammar::kUnbounded : 0)});
  }

  const ChatFamily& family_;
  const ToolUse& use_;
  const Arguments arguments_;
  Builder b_;
  grammar::JsonText json_;
};

}  // namespace

Result<grammar::Grammar> tool_grammar(const ChatFamily& family, const ToolUse& use, const Json* schema) {
  auto exact = Calls(family, use, Calls::Arguments::exact).run(schema);
  const bool too_large = !exact.ok() && exact.status().code() == Code::resource_exhausted;
  const bool must = std::ranges::any_of(use.tools, [&](const Tool& tool) { return must_be_exact(tool, use); });
  return too_large && !must ? Calls(family, use, Calls::Arguments::any).run(schema) : std::move(exact);
}

}  // namespace kinglet::server
