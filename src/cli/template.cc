// kinglet template SOURCE INPUT.json [--now TIME]
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "cli/command.h"
#include "formats/checkpoint.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "hub/resolve.h"
#include "tokenizer/chat_source.h"
#include "tokenizer/chat_template.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxTemplateBytes = uint64_t{4} << 20;

struct Words {
  std::string source;
  std::string input;
  std::string now;
  CommonOptions common;
};

/// Seconds since 1970: a number of them, or a local date and time.
Result<int64_t> parse_time(const std::string& text) {
  if (text.empty()) return static_cast<int64_t>(std::time(nullptr));
  if (text.find_first_not_of("0123456789") == std::string::npos && text.size() < 13)
    return static_cast<int64_t>(std::stoll(text));
  std::tm date{};
  int hour = 0, minute = 0, second = 0, used = 0;
  const int parts = std::sscanf(text.c_str(), "%4d-%2d-%2d%n%*1[ T]%2d:%2d%n:%2d%n", &date.tm_year, &date.tm_mon,
                                &date.tm_mday, &used, &hour, &minute, &used, &second, &used);
  const bool whole = parts == 3 || parts >= 5;
  const bool in_range = date.tm_mon >= 1 && date.tm_mon <= 12 && date.tm_mday >= 1 && date.tm_mday <= 31 && hour >= 0 &&
                        hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 61;
  if (!whole || !in_range || static_cast<size_t>(used) != text.size()) {
    return error(Code::invalid_argument, "--now {}: neither \"2026-01-15 12:00\" nor seconds since 1970", text);
  }
  date.tm_year -= 1900;
  date.tm_mon -= 1;
  date.tm_hour = hour;
  date.tm_min = minute;
  date.tm_sec = second;
  date.tm_isdst = -1;
  return static_cast<int64_t>(std::mktime(&date));
}

Result<Json> read_input(const std::string& path) {
  auto json = [&]() -> Result<Json> {
    if (path != "-") return read_json(path);
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    return parse_json(text);
  }();
  if (!json.ok()) return path == "-" ? annotate("standard input", json.status()) : json.status();
  if (json->is_array()) return Json{{"messages", *std::move(json)}};
  if (!json->is_object())
    return error(Code::invalid_argument, "{}: neither an object of variables nor a list of messages", path);
  return json;
}

/// Whether the file is a template's text and no model.
bool is_template_file(const std::string& path) {
  if (!is_file(path)) return false;
  if (path.ends_with(".gguf") || path.ends_with(".safetensors")) return false;
  char magic[4] = {};
  std::ifstream file(path, std::ios::binary);
  return !(file.read(magic, 4) && std::string_view(magic, 4) == "GGUF");
}

Result<ChatSource> read_source(const std::string& name) {
  if (is_template_file(name)) {
    ChatSource source;
    KL_ASSIGN(source.text, read_file(name, kMaxTemplateBytes));
    return source;
  }
  KL_ASSIGN(const std::string path, hub::resolve_model(name));
  KL_ASSIGN(const Checkpoint checkpoint, Checkpoint::open(path));
  ChatSource source = chat_source(checkpoint);
  if (source.text.empty() && source.tool_text.empty()) return error(Code::not_found, "{} has no chat template", name);
  return source;
}

Status run(const Words& words) {
  KL_ASSIGN(const int64_t now, parse_time(words.now));
  KL_ASSIGN(const ChatSource source, read_source(words.source));
  KL_ASSIGN(Json variables, read_input(words.input));
  variables = source.with_special(std::move(variables));
  const auto compiled = ChatTemplate::compile(source.for_variables(variables));
  if (!compiled.ok()) return annotate(words.source, compiled.status());
  const auto text = compiled->render(variables, now);
  if (!text.ok()) return annotate(words.source, text.status());
  const std::string out = words.common.json ? to_text(Json{{"text", *text}}) + "\n" : *text;
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0) {
    return Status(Code::io, "cannot write to standard output");
  }
  return ok_status();
}

}  // namespace

Action setup_template(Arguments arguments) {
  auto words = std::make_shared<Words>();
  arguments.option("SOURCE", words->source, "a template file, or a model: a registry name, a GGUF file, a directory")
      .required();
  arguments
      .option("INPUT", words->input,
              "JSON: messages, tools, add_generation_prompt and other variables (- for standard input)")
      .required();
  arguments.option("--now", words->now,
                   "the time that strftime_now sees: \"2026-01-15 12:00\", or seconds since 1970 (default: now)");
  add_common(arguments, words->common);
  arguments.footer(
      "Prints the text that a model would be given, byte for byte, without a line end of its own.\n\n"
      "Example:\n"
      "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"add_generation_prompt\": true}' |\n"
      "    kinglet template qwen2.5-coder-0.5b -");
  return [words] { return run(*words); };
}

}  // namespace kinglet::cli
