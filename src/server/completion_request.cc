#include "server/completion_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>

namespace kinglet::server {
namespace {

constexpr JsonLimits kBodyLimits{.max_bytes = size_t{256} << 20, .max_depth = 64};
constexpr int64_t kMost = int64_t{1} << 30;

void refuse(RequestFields& fields, const char* name, std::string message) {
  fields.fail({400, std::move(message), name, "unsupported_parameter"});
}

std::map<TokenId, float> parse_bias(RequestFields& fields) {
  std::map<TokenId, float> out;
  const Json* biases = fields.get("logit_bias");
  if (biases == nullptr) return out;
  const ApiError bad = bad_field("logit_bias", "logit_bias must map token ids to numbers between -100 and 100");
  if (!biases->is_object()) return fields.fail(bad), out;
  for (const auto& [key, value] : biases->items()) {
    TokenId id = -1;
    const auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), id);
    const bool good = ec == std::errc() && end == key.data() + key.size() && id >= 0 && value.is_number() &&
                      value.get<double>() >= -100 && value.get<double>() <= 100;
    if (!good) return fields.fail(bad), out;
    const auto bias = value.get<float>();
    out[id] = bias == -100 ? -std::numeric_limits<float>::infinity() : bias;  // "-100 bans the token", says the schema
  }
  return out;
}

std::string text_of_parts(const Json& parts, RequestFields& fields) {
  std::string out;
  for (const Json& part : parts) {
    const std::string type = part.is_object() && part.contains("type") && part["type"].is_string()
                                 ? part["type"].get<std::string>()
                                 : std::string();
    if (type == "text" && part.contains("text") && part["text"].is_string()) {
      out += part["text"].get_ref<const std::string&>();
    } else if (type == "image_url" || type == "input_audio" || type == "file") {
      refuse(fields, "messages", fmt::format("this model reads text only: a part of type {} cannot be used", type));
    } else {
      fields.fail(bad_field("messages", "a part of a message must be {\"type\": \"text\", \"text\": \"...\"}"));
    }
  }
  return out;
}

// The schema has a tool call's arguments as a text of JSON; templates take the object.
Json tool_calls(const Json& calls, RequestFields& fields) {
  Json out = calls;
  const auto bad = [&] {
    fields.fail(
        bad_field("messages", "a tool call must be {\"type\": \"function\", \"function\": {\"name\", \"arguments\"}}"));
    return Json::array();
  };
  if (!out.is_array()) return bad();
  for (Json& call : out) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) return bad();
    Json& function = call["function"];
    if (!function.contains("name") || !function["name"].is_string()) return bad();
    if (function.contains("arguments") && function["arguments"].is_string()) {
      const auto& text = function["arguments"].get_ref<const std::string&>();
      auto arguments = parse_json(text.empty() ? "{}" : text, kBodyLimits);
      if (!arguments.ok()) return bad();
      function["arguments"] = *std::move(arguments);
    }
  }
  return out;
}

Json parse_message(const Json& message, RequestFields& fields) {
  if (!message.is_object() || !message.contains("role") || !message["role"].is_string()) {
    fields.fail(bad_field("messages", "a message must be an object with a role"));
    return {};
  }
  Json out = message;
  const std::string role = message["role"];
  constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool"};
  if (std::ranges::find(kRoles, role) == std::end(kRoles)) {
    fields.fail(bad_field("messages", "a message's role must be system, developer, user, assistant or tool"));
    return {};
  }
  if (role == "developer") out["role"] = "system";  // the schema's newer name for it
  const Json content = message.contains("content") ? message["content"] : Json();
  if (content.is_array()) {
    out["content"] = text_of_parts(content, fields);
  } else if (content.is_null()) {
    if (role != "assistant") fields.fail(bad_field("messages", fmt::format("a message of {} needs a content", role)));
    out["content"] = "";
  } else if (!content.is_string()) {
    fields.fail(bad_field("messages", "a message's content must be a text or an array of parts"));
  }
  if (message.contains("tool_calls") && !message["tool_calls"].is_null()) {
    out["tool_calls"] = tool_calls(message["tool_calls"], fields);
  } else {
    out.erase("tool_calls");
  }
  return out;
}

void parse_response_format(RequestFields& fields, CompletionRequest& out) {
  const Json* format = fields.get("response_format");
  if (format == nullptr) return;
  const Json type = format->is_object() && format->contains("type") ? (*format)["type"] : Json();
  if (type == "text") return;
  const bool has_schema = type == "json_schema" && format->contains("json_schema") &&
                          (*format)["json_schema"].is_object() && (*format)["json_schema"].contains("schema");
  if (type != "json_object" && !has_schema) {
    return fields.fail(bad_field("response_format",
                                 "response_format is {\"type\": \"text\"}, {\"type\": \"json_object\"} or {\"type\": "
                                 "\"json_schema\", \"json_schema\": {\"name\": ..., \"schema\": {...}}}"));
  }
  out.form = AnswerForm{has_schema ? (*format)["json_schema"]["schema"] : Json{{"type", "object"}}};
}

void parse_prompt(RequestFields& fields, CompletionRequest& out) {
  const Json* prompt = fields.get("prompt");
  const ApiError bad = bad_field("prompt", "prompt must be one text, or one array of token ids");
  if (prompt == nullptr) return fields.fail(bad);
  if (prompt->is_string()) {
    out.prompt = prompt->get<std::string>();
    return;
  }
  if (!prompt->is_array() || prompt->empty()) return fields.fail(bad);
  if (prompt->size() == 1 && (*prompt)[0].is_string()) {
    out.prompt = (*prompt)[0].get<std::string>();
    return;
  }
  for (const Json& id : *prompt) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > INT32_MAX) return fields.fail(bad);
    out.prompt_ids.push_back(id.get<TokenId>());
  }
}

std::variant<CompletionRequest, ApiError> finish(const RequestFields& fields, CompletionRequest out) {
  if (auto wrong = fields.finish()) return *std::move(wrong);
  return out;
}

}  // namespace

// The defaults are the schema's: no filter but what is asked for.
void parse_sampling(RequestFields& fields, CompletionRequest& out) {
  out.model = fields.text("model");
  SamplingOptions& s = out.options.sampling;
  s.temperature = static_cast<float>(fields.number("temperature", 1, 0, 2));
  s.top_p = static_cast<float>(fields.number("top_p", 1, 0, 1));
  if (s.top_p == 0) s.top_k = 1, s.top_p = 1;  // the likeliest alone
  else s.top_k = 0;
  s.top_k = static_cast<int32_t>(fields.integer("top_k", s.top_k, 0, kMost));
  s.min_p = static_cast<float>(fields.number("min_p", 0, 0, 1));
  s.typical_p = static_cast<float>(fields.number("typical_p", 1, 0.001, 1));
  s.repetition_penalty = static_cast<float>(fields.number("repetition_penalty", 1, 0.01, 100));
  s.presence_penalty = static_cast<float>(fields.number("presence_penalty", 0, -2, 2));
  s.frequency_penalty = static_cast<float>(fields.number("frequency_penalty", 0, -2, 2));
  s.penalty_window = -1;
  s.logit_bias = parse_bias(fields);
  const int64_t seed = fields.integer("seed", -1, std::numeric_limits<int64_t>::min(), INT64_MAX);
  s.seed = fields.get("seed") == nullptr ? std::random_device()() : static_cast<uint64_t>(seed);
  out.options.stops = fields.texts("stop");
  out.choices = static_cast<int32_t>(fields.integer("n", 1, 1, 128));
  out.stream = fields.flag("stream");
  out.user = fields.text("user") + fields.text("safety_identifier");
  if (const Json* options = fields.get("stream_options"); options != nullptr) {
    if (!options->is_object()) {
      fields.fail(bad_field("stream_options", "stream_options must be an object"));
    } else if (!out.stream) {
      fields.fail(bad_field("stream_options", "stream_options goes with stream: true only"));
    } else {
      RequestFields inner(*options);
      out.include_usage = inner.flag("include_usage");
      inner.accept({"include_obfuscation"});
      if (auto wrong = inner.finish()) fields.fail(*wrong);
    }
  }
}

// Templates know thinking on and off, by one of these names.
void set_reasoning_effort(const char* param, const std::string& effort, RequestFields& fields, CompletionRequest& out) {
  if (effort.empty()) return;
  constexpr std::string_view kEfforts[] = {"none", "minimal", "low", "medium", "high", "xhigh"};
  if (std::ranges::find(kEfforts, effort) == std::end(kEfforts)) {
    return fields.fail(bad_field(param, fmt::format("{} must be none, minimal, low, medium, high or xhigh", param)));
  }
  const bool thinks = effort != "none" && effort != "minimal";
  out.conversation.variables["enable_thinking"] = thinks;
  out.conversation.variables["thinking"] = thinks;
}

std::variant<Json, ApiError> parse_body(const std::string& body) {
  auto parsed = parse_json(body, kBodyLimits);
  if (!parsed.ok())
    return ApiError{400, fmt::format("the body is not JSON: {}", parsed.status().text()), "", "invalid_json"};
  if (!parsed->is_object()) return ApiError{400, "the body must be a JSON object", "", "invalid_json"};
  return *std::move(parsed);
}

Json parse_messages(const Json& messages, RequestFields& fields) {
  Json out = Json::array();
  if (!messages.is_array() || messages.empty()) {
    fields.fail(bad_field("messages", "messages must be an array with at least one message"));
    return out;
  }
  for (const Json& message : messages) out.push_back(parse_message(message, fields));
  return out;
}

std::variant<CompletionRequest, ApiError> parse_chat_request(const Json& body) {
  RequestFields fields(body);
  CompletionRequest out;
  parse_sampling(fields, out);
  const Json* messages = fields.get("messages");
  out.conversation.messages = parse_messages(messages == nullptr ? Json() : *messages, fields);
  out.tools = parse_tools(fields);
  if (const Json* variables = fields.get("chat_template_kwargs"); variables != nullptr) {
    if (!variables->is_object())
      fields.fail(bad_field("chat_template_kwargs", "chat_template_kwargs must be an object"));
    else out.conversation.variables = *variables;
  }
  set_reasoning_effort("reasoning_effort", fields.text("reasoning_effort"), fields, out);
  const int64_t older = fields.integer("max_tokens", 0, 1, kMost);
  out.options.max_tokens = fields.integer("max_completion_tokens", older, 1, kMost);
  out.logprobs = fields.flag("logprobs");
  out.top_logprobs = static_cast<int32_t>(fields.integer("top_logprobs", 0, 0, 20));
  if (out.top_logprobs > 0 && !out.logprobs) {
    fields.fail(bad_field("top_logprobs", "top_logprobs goes with logprobs: true only"));
  }
  parse_response_format(fields, out);
  fields.only("modalities", Json::array({"text"}));
  fields.accept({"metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention"});
  fields.only("store", false);
  return finish(fields, std::move(out));
}

std::variant<CompletionRequest, ApiError> parse_completion_request(const Json& body) {
  RequestFields fields(body);
  CompletionRequest out;
  parse_sampling(fields, out);
  parse_prompt(fields, out);
  out.options.max_tokens = fields.integer("max_tokens", 16, 1, kMost);
  out.options.start = StreamStart::mid_text;
  out.logprobs = fields.get("logprobs") != nullptr;
  out.top_logprobs = static_cast<int32_t>(fields.integer("logprobs", 0, 0, 20));
  fields.only("echo", false);
  fields.only("suffix", "");
  fields.only("best_of", out.choices);
  return finish(fields, std::move(out));
}

}  // namespace kinglet::server
