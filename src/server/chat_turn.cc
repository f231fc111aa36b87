#include "server/chat_turn.h"

#include <fmt/format.h>

#include <algorithm>

#include "formats/json.h"
#include "grammar/json_schema.h"
#include "server/tool_grammar.h"

namespace kinglet::server {
namespace {

// How models begin a bare call, alone or in a block of code.
constexpr std::string_view kBareTriggers[] = {"{\"name\"",
                                              "{\n  \"name\"",
                                              "{\n    \"name\"",
                                              "{\"type\": \"function\"",
                                              "{\"type\":\"function\"",
                                              "```json\n{\"name\"",
                                              "```json\n{\n  \"name\"",
                                              "```json\n{\n    \"name\""};

// Whether the prompt ends where the model is to think.
bool ends_in_thinking(std::string_view prompt, const ThinkingForm& thinking) {
  const size_t end = prompt.find_last_not_of(" \n\t\r");
  return end != std::string_view::npos && prompt.substr(0, end + 1).ends_with(thinking.begin);
}

const std::string& template_text(const ServedModel& model) {
  const ChatSource& source = model.chat->source();
  return source.tool_text.empty() ? source.text : source.tool_text;
}

ApiError bad_schema(const std::string& param, const Status& status) {
  return {400, fmt::format("{}: {}", param, status.text()), param, "unsupported_schema"};
}

// All that tool_grammar() makes of a request, for one family.
std::string text_of(const ToolUse& use, const Json* schema) {
  Json tools = Json::array();
  for (const Tool& tool : use.tools) tools.push_back({tool.name, tool.parameters, tool.strict});
  return to_text(Json{{"tools", std::move(tools)},
                      {"required", use.choice == ToolChoice::required},
                      {"parallel", use.parallel},
                      {"schema", schema == nullptr ? Json() : *schema},
                      {"has_schema", schema != nullptr}});
}

// What the answer is held to, of tools and response_format.
std::variant<Held, ApiError> constraint_of(const ServedModel& model, const CompletionRequest& request, bool thinking) {
  if (!request.tools.active()) return held_to_form(model, request);
  const ChatFamily& family = *model.family;
  auto out = std::make_shared<Constraint>();
  const bool required = request.tools.choice == ToolChoice::required;
  const Json* schema = request.form && !required ? &request.form->schema : nullptr;
  auto calls =
      model.grammars->get(text_of(request.tools, schema), [&] { return tool_grammar(family, request.tools, schema); });
  if (!calls.ok()) return bad_schema("tools", calls.status());
  out->automaton = *std::move(calls);
  if (required) {
    out->begun = family.begin;
  } else if (schema == nullptr) {
    for (const std::string_view text : family.begins()) out->triggers.emplace_back(text);
    out->pause_begin = family.thinking.begin;
    out->pause_end = family.thinking.end;
    out->paused = thinking;
    if (family.bare) out->first_triggers.assign(std::begin(kBareTriggers), std::end(kBareTriggers));
  }
  return Held(out);
}

}  // namespace

void find_family(ServedModel& model) {
  if (model.chat) {
    model.family = &chat_family(template_text(model));
    for (const std::string_view text : model.family->markers()) {
      const auto id = model.tokenizer->find(text);
      if (id && model.tokenizer->is_control(*id)) model.visible.push_back(*id);
    }
  }
  model.grammars = std::make_unique<GrammarPool>(*model.tokenizer, model.visible, model.grammar_bytes);
}

// A schema that cannot be held exactly is refused with its keyword: an answer is never merely likely to fit.
std::variant<Held, ApiError> held_to_form(const ServedModel& model, const CompletionRequest& request) {
  if (!request.form) return Held();
  const AnswerForm& form = *request.form;
  auto automaton = model.grammars->get(to_text(form.schema), [&] { return grammar::compile_json_schema(form.schema); });
  if (!automaton.ok()) return bad_schema(form.param, automaton.status());
  return std::make_shared<const Constraint>(Constraint{*std::move(automaton)});
}

void hold(const ServedModel& model, Held constraint, int64_t prompt_tokens, GenerateOptions& options) {
  options.constraint = std::move(constraint);
  if (options.constraint == nullptr || options.max_tokens != 0) return;
  // So that the text is complete before the context is full.
  options.max_tokens = std::max<int64_t>(1, model.runner->context() - prompt_tokens);
}

std::variant<ChatTurn, ApiError> begin_turn(const ServedModel& model, const CompletionRequest& request) {
  if (!model.chat) return ApiError{400, "this model has no chat template: use /v1/completions", "model"};
  const ChatFamily& family = *model.family;
  Conversation conversation = request.conversation;
  ToolConversation written =
      for_family(family, template_text(model), std::move(conversation.messages), request.tools.for_template);
  conversation.messages = std::move(written.messages);
  conversation.tools = std::move(written.tools);
  auto chat = model.chat->render(conversation);
  if (chat.status().code() == Code::resource_exhausted) {  // of the template, whose limits no other time will lift
    return ApiError{400, std::string(chat.status().text()), "messages", "template_limit"};
  }
  if (!chat.ok()) return to_api_error(chat.status());

  ParserOptions parser{.family = &family};
  if (request.tools.active()) parser.tools = request.tools.names();
  parser.thinking = ends_in_thinking(chat->text, family.thinking);
  const auto made = constraint_of(model, request, parser.thinking);
  if (const auto* wrong = std::get_if<ApiError>(&made)) return *wrong;
  const Held& constraint = std::get<Held>(made);
  const bool held = constraint != nullptr && constraint->triggers.empty() && constraint->first_triggers.empty();
  if (parser.thinking && held) {  // what is held to a form is the answer itself
    chat->text += fmt::format("\n{}\n\n", family.thinking.end);
    parser.thinking = false;
  }
  const std::string begun = constraint == nullptr ? std::string() : constraint->begun;
  chat->text += begun;
  ChatTurn turn{model.chat->encode(*chat), request.options, AnswerParser(std::move(parser))};
  hold(model, constraint, static_cast<int64_t>(turn.prompt.size()), turn.options);
  turn.options.visible = model.visible;
  static_cast<void>(turn.parser.push(begun));
  return turn;
}

}  // namespace kinglet::server
