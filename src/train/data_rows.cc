#include "train/data_rows.h"

#include <algorithm>
#include <array>

#include "formats/json.h"
#include "host/error.h"

namespace kinglet::train {
namespace {

using Content = std::variant<TextRow, ChatRow, PromptRow, IdsRow>;

constexpr JsonLimits kRowLimits{.max_bytes = LineReader::kMaxLineBytes, .max_depth = 64};

/// The member, or null; members that are JSON null count as absent, as in files that tables were saved to.
const Json& member(const Json& row, std::string_view key) {
  static const Json null;
  const auto it = row.find(key);
  return it == row.end() ? null : *it;
}
bool has(const Json& row, std::string_view key) { return !member(row, key).is_null(); }

Status wrong(std::string_view key, std::string_view wanted) {
  return error(Code::corrupt, "\"{}\" is no {}", key, wanted);
}

// -- messages --

Status check_message(const Json& message, size_t number) {
  if (!message.is_object()) return error(Code::corrupt, "message {} is no object", number);
  if (!member(message, "role").is_string()) return error(Code::corrupt, "message {} has no \"role\"", number);
  const Json& content = member(message, "content");
  const bool calls = member(message, "tool_calls").is_array();
  if (!content.is_string() && !content.is_array() && !(content.is_null() && calls))
    return error(Code::corrupt, "message {} has no \"content\"", number);
  return ok_status();
}

Result<Json> messages_of(const Json& value, std::string_view key) {
  if (!value.is_array() || value.empty()) return wrong(key, "list of messages");
  for (size_t i = 0; i < value.size(); ++i) KL_TRY(check_message(value[i], i + 1));
  return value;
}

/// Roles of ShareGPT's "from" and what messages call them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kShareGptRoles{{{"human", "user"},
                                                                                        {"user", "user"},
                                                                                        {"gpt", "assistant"},
                                                                                        {"chatgpt", "assistant"},
                                                                                        {"assistant", "assistant"},
                                                                                        {"bot", "assistant"},
                                                                                        {"model", "assistant"},
                                                                                        {"system", "system"},
                                                                                        {"tool", "tool"},
                                                                                        {"observation", "tool"},
                                                                                        {"function", "tool"},
                                                                                        {"function_response", "tool"}}};

Result<Json> sharegpt_messages(const Json& turns) {
  if (!turns.is_array() || turns.empty()) return wrong("conversations", "list of turns");
  Json messages = Json::array();
  for (size_t i = 0; i < turns.size(); ++i) {
    const Json& turn = turns[i];
    if (!turn.is_object() || !member(turn, "from").is_string() || !member(turn, "value").is_string())
      return error(Code::corrupt, "turn {} has no \"from\" and \"value\"", i + 1);
    const auto& from = turn["from"].get_ref<const std::string&>();
    const auto role =
        std::find_if(kShareGptRoles.begin(), kShareGptRoles.end(), [&](const auto& r) { return r.first == from; });
    if (role == kShareGptRoles.end())
      return error(Code::corrupt, "turn {} is from \"{}\", which is no known role", i + 1, from);
    messages.push_back({{"role", std::string(role->second)}, {"content", turn["value"]}});
  }
  return messages;
}

/// Tools and variables for the template, wherever a row has them.
template <typename Into>
Status read_template_words(const Json& row, Into& into) {
  const Json& tools = member(row, "tools");
  if (tools.is_array()) {
    if (!tools.empty()) into.tools = tools;
  } else if (tools.is_string()) {  // as some hubs store it
    KL_ASSIGN(Json parsed, parse_json(tools.get_ref<const std::string&>(), kRowLimits));
    if (!parsed.is_array()) return wrong("tools", "list");
    if (!parsed.empty()) into.tools = std::move(parsed);
  } else if (!tools.is_null()) {
    return wrong("tools", "list");
  }
  const Json& variables = member(row, "chat_template_kwargs");
  if (variables.is_object()) into.variables = variables;
  else if (!variables.is_null()) return wrong("chat_template_kwargs", "object");
  return ok_status();
}

Result<Content> chat_row(const Json& row, Result<Json> messages) {
  ChatRow chat;
  KL_ASSIGN(chat.messages, std::move(messages));
  KL_TRY(read_template_words(row, chat));
  return Content(std::move(chat));
}

// -- prompts --

/// A text or messages.
Result<Json> side_of(const Json& row, std::string_view key) {
  const Json& value = member(row, key);
  if (value.is_string()) return value;
  if (value.is_array()) return messages_of(value, key);
  return error(Code::corrupt, "\"{}\" is neither a text nor a list of messages", key);
}

/// Messages that chosen and rejected begin with both are the prompt, where the row names none.
Status split_common_prompt(PromptRow& row) {
  if (!row.chosen.is_array() || !row.rejected.is_array())
    return Status(Code::corrupt, "\"chosen\" and \"rejected\" without a \"prompt\" are no lists of messages");
  size_t common = 0;
  while (common < row.chosen.size() && common < row.rejected.size() && row.chosen[common] == row.rejected[common])
    ++common;
  if (common == 0 || common == row.chosen.size() || common == row.rejected.size())
    return Status(Code::corrupt, "\"chosen\" and \"rejected\" do not begin with the same messages and end with others");
  const auto split = static_cast<ptrdiff_t>(common);
  row.prompt = Json::array();
  for (size_t i = 0; i < common; ++i) row.prompt.push_back(row.chosen[i]);
  row.chosen.erase(row.chosen.begin(), row.chosen.begin() + split);
  row.rejected.erase(row.rejected.begin(), row.rejected.begin() + split);
  return ok_status();
}

Status check_same_form(const Json& a, const Json& b) {
  if (a.is_string() == b.is_string()) return ok_status();
  return Status(Code::corrupt, "one of prompt and answers is a text and another a list of messages");
}

Result<Content> preference_row(const Json& row) {
  PromptRow out;
  KL_ASSIGN(out.chosen, side_of(row, "chosen"));
  KL_ASSIGN(out.rejected, side_of(row, "rejected"));
  if (has(row, "prompt")) {
    KL_ASSIGN(out.prompt, side_of(row, "prompt"));
  } else {
    KL_TRY(split_common_prompt(out));
  }
  KL_TRY(check_same_form(out.prompt, out.chosen));
  KL_TRY(check_same_form(out.prompt, out.rejected));
  KL_TRY(read_template_words(row, out));
  return Content(std::move(out));
}

Result<Content> completion_row(const Json& row) {
  PromptRow out;
  KL_ASSIGN(out.prompt, side_of(row, "prompt"));
  KL_ASSIGN(out.completion, side_of(row, "completion"));
  KL_TRY(check_same_form(out.prompt, out.completion));
  if (has(row, "label")) {
    const Json& label = member(row, "label");
    const bool number = label.is_number_integer() && (label == 0 || label == 1);
    if (!label.is_boolean() && !number) return wrong("label", "true or false");
    out.label = number ? label == 1 : label.get<bool>();
  }
  KL_TRY(read_template_words(row, out));
  return Content(std::move(out));
}

/// instruction, input (may be empty), output, system (may be absent).
Result<Content> alpaca_row(const Json& row) {
  for (const std::string_view key : {"instruction", "output"})
    if (!member(row, key).is_string()) return wrong(key, "text");
  for (const std::string_view key : {"input", "system"})
    if (has(row, key) && !member(row, key).is_string()) return wrong(key, "text");
  auto text = row["instruction"].get<std::string>();
  if (has(row, "input") && !row["input"].get_ref<const std::string&>().empty())
    text += "\n" + row["input"].get<std::string>();
  PromptRow out;
  if (has(row, "system") && !row["system"].get_ref<const std::string&>().empty()) {
    out.prompt = Json::array({{{"role", "system"}, {"content", row["system"]}}, {{"role", "user"}, {"content", text}}});
    out.completion = Json::array({{{"role", "assistant"}, {"content", row["output"]}}});
  } else {
    out.prompt = text;
    out.completion = row["output"];
  }
  return Content(std::move(out));
}

// -- ids --

Result<std::vector<int32_t>> integers(const Json& row, std::string_view key) {
  const Json& list = member(row, key);
  if (!list.is_array() || list.empty()) return wrong(key, "list of token ids");
  std::vector<int32_t> out;
  out.reserve(list.size());
  for (const Json& item : list) {
    const bool whole = item.is_number_integer() && !(item.is_number_unsigned() && item.get<uint64_t>() > INT32_MAX);
    if (!whole || item.get<int64_t>() < INT32_MIN || item.get<int64_t>() > INT32_MAX)
      return error(Code::corrupt, "\"{}\" holds {}, which is no token id", key, to_text(item).substr(0, 40));
    out.push_back(static_cast<int32_t>(item.get<int64_t>()));
  }
  return out;
}

/// Leaves out the tokens whose mask is 0.
Status apply_attention_mask(const Json& row, IdsRow& out) {
  KL_ASSIGN(const std::vector<int32_t> mask, integers(row, "attention_mask"));
  if (mask.size() != out.ids.size())
    return error(Code::corrupt, "{} input_ids and {} values of attention_mask", out.ids.size(), mask.size());
  size_t kept = 0;
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] != 0 && mask[i] != 1)
      return error(Code::corrupt, "\"attention_mask\" holds {}, neither 0 nor 1", mask[i]);
    if (mask[i] == 0) continue;
    out.ids[kept] = out.ids[i];
    out.labels[kept++] = out.labels[i];
  }
  if (kept == 0) return Status(Code::corrupt, "\"attention_mask\" hides every token");
  out.ids.resize(kept);
  out.labels.resize(kept);
  return ok_status();
}

Result<Content> ids_row(const Json& row) {
  IdsRow out;
  KL_ASSIGN(out.ids, integers(row, "input_ids"));
  out.labels = out.ids;
  if (has(row, "labels")) {
    KL_ASSIGN(out.labels, integers(row, "labels"));
    if (out.labels.size() != out.ids.size())
      return error(Code::corrupt, "{} input_ids and {} labels", out.ids.size(), out.labels.size());
  }
  if (has(row, "attention_mask")) KL_TRY(apply_attention_mask(row, out));
  return Content(std::move(out));
}

// -- lines --

Result<Content> parse_json_line(const std::string& line) {
  const auto json = parse_json(line, kRowLimits);
  if (json.ok()) return parse_row(*json);
  std::string_view reason = json.status().text();
  constexpr std::string_view kOnlyLine = "line 1, ";  // the row's own place says which
  if (reason.starts_with(kOnlyLine)) reason.remove_prefix(kOnlyLine.size());
  return Status(json.status().code(), reason);
}

Result<Content> parse_tab_line(const std::string& line) {
  std::vector<std::string> columns;
  size_t begin = 0;
  for (size_t tab; (tab = line.find('\t', begin)) != std::string::npos; begin = tab + 1)
    columns.push_back(line.substr(begin, tab - begin));
  columns.push_back(line.substr(begin));
  PromptRow row;
  row.prompt = columns[0];
  if (columns.size() == 2) {
    row.completion = columns[1];
  } else if (columns.size() == 3) {
    row.chosen = columns[1];
    row.rejected = columns[2];
  } else {
    return error(Code::corrupt, "{} columns; there are two (prompt, completion) or three (prompt, chosen, rejected)",
                 columns.size());
  }
  return Content(std::move(row));
}

}  // namespace

std::string Row::place() const { return line == 0 ? file : fmt::format("{}:{}", file, line); }

Result<Content> parse_row(const Json& row) {
  if (!row.is_object()) return Status(Code::corrupt, "not a JSON object");
  if (has(row, "input_ids")) return ids_row(row);
  if (has(row, "messages")) return chat_row(row, messages_of(row["messages"], "messages"));
  if (has(row, "conversations")) return chat_row(row, sharegpt_messages(row["conversations"]));
  if (has(row, "chosen") || has(row, "rejected")) return preference_row(row);
  if (has(row, "prompt") || has(row, "completion")) return completion_row(row);
  if (has(row, "instruction")) return alpaca_row(row);
  if (!has(row, "text"))
    return Status(Code::corrupt,
                  "none of the keys text, messages, prompt, chosen, instruction, conversations, input_ids");
  if (!row["text"].is_string()) return wrong("text", "text");
  return Content(TextRow{row["text"].get<std::string>()});
}

std::vector<std::string> texts_of(const Row& row) {
  std::vector<std::string> out;
  const auto add = [&out](const Json& side) {
    if (side.is_string()) out.push_back(side.get<std::string>());
    if (!side.is_array()) return;
    for (const Json& message : side)
      if (member(message, "content").is_string()) out.push_back(message["content"].get<std::string>());
  };
  if (const auto* text = std::get_if<TextRow>(&row.content)) out.push_back(text->text);
  if (const auto* chat = std::get_if<ChatRow>(&row.content)) add(chat->messages);
  if (const auto* prompt = std::get_if<PromptRow>(&row.content)) {
    for (const Json* side : {&prompt->prompt, &prompt->completion, &prompt->chosen, &prompt->rejected}) add(*side);
  }
  return out;
}

Status RowProblems::add(const std::string& place, const Status& reason) {
  const Status problem = annotate(place, reason);
  ++count_;
  if (first_.size() < kShown) first_.emplace_back(problem.text());
  return strict_ ? problem : ok_status();
}

Status RowReader::open_next() {
  const std::string& path = files_[file_++];
  const std::string_view name = without_packing(path);
  if (name.ends_with(".json")) return open_json(path);
  const bool json = name.ends_with(".jsonl") || name.ends_with(".ndjson");
  form_ = json ? Form::json_lines : name.ends_with(".tsv") ? Form::tab_separated : Form::text;
  if (form_ == Form::text) return ok_status();
  KL_ASSIGN(ByteStream stream, ByteStream::open(path));
  lines_.emplace(std::move(stream));
  return ok_status();
}

/// One array of objects, or an object a line.
Status RowReader::open_json(const std::string& path) {
  KL_ASSIGN(ByteStream stream, ByteStream::open(path));
  lines_.emplace(std::move(stream));
  std::string line;
  size_t first = std::string::npos;
  for (bool more = true; more && first == std::string::npos; first = line.find_first_not_of(" \t")) {
    KL_ASSIGN(more, lines_->next(line));
  }
  if (first != std::string::npos && line[first] == '[') {
    form_ = Form::json_array;
    lines_.reset();
    KL_ASSIGN(const std::string text, read_text(path, JsonLimits().max_bytes));
    auto items = parse_json(text, {.max_depth = kRowLimits.max_depth});
    if (!items.ok()) return annotate(path, items.status());
    items_ = *std::move(items);
    item_ = 0;
    return ok_status();
  }
  form_ = Form::json_lines;
  KL_ASSIGN(ByteStream again, ByteStream::open(path));
  lines_.emplace(std::move(again));
  return ok_status();
}

/// The row of the next line that has one; false at the end of the file.
Result<bool> RowReader::next_line(Row& row) {
  std::string line;
  for (;;) {
    const auto more = lines_->next(line);
    if (!more.ok())
      return more.status().code() == Code::out_of_range ? annotate(row.file, more.status()) : more.status();
    if (!*more) return false;
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    row.line = lines_->number();
    auto content = form_ == Form::json_lines ? parse_json_line(line) : parse_tab_line(line);
    if (content.ok()) {
      row.content = *std::move(content);
      return true;
    }
    KL_TRY(problems_->add(row.place(), content.status()));
  }
}

Result<bool> RowReader::next_item(Row& row) {
  while (item_ < items_.size()) {
    auto content = parse_row(items_[item_++]);
    row.line = static_cast<int64_t>(item_);
    if (content.ok()) {
      row.content = *std::move(content);
      return true;
    }
    KL_TRY(problems_->add(row.place(), content.status()));
  }
  items_ = Json();
  return false;
}

Result<std::optional<Row>> RowReader::next() {
  for (;;) {
    if (!open_) {
      if (file_ == files_.size()) return std::optional<Row>();
      KL_TRY(open_next());
      open_ = true;
    }
    Row row{.file = files_[file_ - 1], .line = 0, .content = {}};
    if (form_ == Form::text) {
      KL_ASSIGN(std::string text, read_text(row.file));
      row.content = TextRow{std::move(text)};
      open_ = false;
      return std::optional<Row>(std::move(row));
    }
    KL_ASSIGN(const bool found, form_ == Form::json_array ? next_item(row) : next_line(row));
    if (found) return std::optional<Row>(std::move(row));
    open_ = false;
  }
}

}  // namespace kinglet::train
