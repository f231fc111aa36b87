#include "tokenizer/chat_format.h"

#include <algorithm>
#include <ctime>

#include "host/error.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

constexpr char32_t kFirstMark = 0xFDD0, kLastMark = 0xFDEF;  // noncharacters: "for internal use", says Unicode

// Whether a string in `value`, a key or a value, contains `text`.
bool contains(const Json& value, std::string_view text) {
  if (value.is_string()) return value.get_ref<const std::string&>().find(text) != std::string::npos;
  for (const auto& [key, item] : value.items()) {
    if (value.is_object() && key.find(text) != std::string::npos) return true;
    if (item.is_string() || item.is_structured()) {
      if (contains(item, text)) return true;
    }
  }
  return false;
}

// Takes `mark` out of `text` and returns where it was, as offsets in the text without it.
std::vector<size_t> take_marks(std::string& text, const std::string& mark) {
  std::vector<size_t> places;
  std::string out;
  size_t done = 0;
  for (size_t at = 0; (at = text.find(mark, done)) != std::string::npos; done = at + mark.size()) {
    out.append(text, done, at - done);
    places.push_back(out.size());
  }
  out.append(text, done);
  text = std::move(out);
  return places;
}

void begin_with_bos(const Tokenizer& tokenizer, std::vector<TokenId>& ids) {
  const auto bos = tokenizer.bos();
  if (tokenizer.adds_bos() && bos && (ids.empty() || ids.front() != *bos)) ids.insert(ids.begin(), *bos);
}

}  // namespace

void Conversation::add(std::string_view role, std::string_view content) {
  messages.push_back({{"role", std::string(role)}, {"content", std::string(content)}});
}

Result<ChatFormat> ChatFormat::create(const Tokenizer& tokenizer, ChatSource source) {
  const std::string& text = source.text.empty() ? source.tool_text : source.text;
  if (text.empty()) {
    return Status(Code::not_found,
                  "this model has no chat template; give one with --template FILE, or continue a text with "
                  "`kinglet run --raw`");
  }
  KL_ASSIGN(ChatTemplate chat_template, ChatTemplate::compile(text));
  std::optional<ChatTemplate> for_tools;
  if (!source.text.empty() && !source.tool_text.empty()) {
    KL_ASSIGN(for_tools, ChatTemplate::compile(source.tool_text));
  }
  return ChatFormat(tokenizer, std::move(source), std::move(chat_template), std::move(for_tools));
}

Result<RenderedChat> ChatFormat::render(const Conversation& conversation) const {
  Json variables = variables_of(conversation);
  KL_ASSIGN(const std::string mark, unused_mark(variables));
  put_marks(variables, mark);
  variables = source_.with_special(std::move(variables));  // unmarked: these are the template's own
  const ChatTemplate& used = for_tools_ && variables.contains("tools") ? *for_tools_ : template_;
  RenderedChat chat;
  KL_ASSIGN(chat.text, used.render(variables, conversation.now.value_or(std::time(nullptr))));
  chat.seams = take_marks(chat.text, mark);
  return chat;
}

std::vector<TokenId> ChatFormat::encode(const RenderedChat& chat) const {
  std::vector<TokenId> ids = tokenizer_->encode(chat.text, chat.seams);
  begin_with_bos(*tokenizer_, ids);
  return ids;
}

Result<std::vector<TokenId>> ChatFormat::prompt(const Conversation& conversation) const {
  KL_ASSIGN(const RenderedChat chat, render(conversation));
  return encode(chat);
}

Json ChatFormat::variables_of(const Conversation& conversation) const {
  Json variables = conversation.variables;
  variables["messages"] = conversation.messages;
  if (!conversation.tools.is_null()) variables["tools"] = conversation.tools;
  variables["add_generation_prompt"] = conversation.add_generation_prompt;
  return variables;
}

Result<std::string> ChatFormat::unused_mark(const Json& variables) const {
  for (char32_t code = kFirstMark; code <= kLastMark; ++code) {
    std::string mark;
    append_utf8(code, mark);
    if (source_.text.find(mark) == std::string::npos && source_.tool_text.find(mark) == std::string::npos &&
        !contains(variables, mark))
      return mark;
  }
  return Status(Code::invalid_argument, "the conversation contains every Unicode noncharacter from U+FDD0 to U+FDEF");
}

// In every string and every key: a template may print those of a tool's schema.
void ChatFormat::put_marks(Json& value, const std::string& mark) const {
  if (value.is_string()) {
    value = marked(value.get_ref<const std::string&>(), mark);
  } else if (value.is_array()) {
    for (Json& item : value) put_marks(item, mark);
  } else if (value.is_object()) {
    Json out = Json::object();
    for (auto& [key, item] : value.items()) {
      put_marks(item, mark);
      out[marked(key, mark)] = std::move(item);
    }
    value = std::move(out);
  }
}

// The mark goes after the first character, not byte: templates work on characters.
std::string ChatFormat::marked(const std::string& text, const std::string& mark) const {
  std::string out;
  size_t done = 0;
  for (const size_t place : tokenizer_->control_places(text)) {
    size_t end = place;
    next_utf8(text, end);
    out.append(text, done, end - done);
    out += mark;
    done = end;
  }
  return out.append(text, done);
}

std::vector<TokenId> plain_prompt(const Tokenizer& tokenizer, std::string_view text, SpecialTokens special) {
  std::vector<TokenId> ids = tokenizer.encode(text, special);
  begin_with_bos(tokenizer, ids);
  return ids;
}

}  // namespace kinglet
