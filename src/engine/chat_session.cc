#include "engine/chat_session.h"

#include "formats/json.h"
#include "host/error.h"

namespace kinglet {
namespace {

// Messages as save() wrote them: objects with a role and a content, both text.
bool are_messages(const Json& messages) {
  if (!messages.is_array()) return false;
  for (const Json& m : messages) {
    if (!m.is_object() || m.size() != 2 || !m.contains("role") || !m.contains("content")) return false;
    if (!m["role"].is_string() || !m["content"].is_string()) return false;
  }
  return true;
}

}  // namespace

Result<Generation> ChatSession::say(std::string_view text, const GenerateOptions& options,
                                    const GenerateCallbacks& callbacks) {
  const size_t before = conversation_.messages.size();
  const auto take_back = [&] {
    conversation_.messages.erase(conversation_.messages.begin() + static_cast<ptrdiff_t>(before),
                                 conversation_.messages.end());
  };
  conversation_.add("user", text);
  const auto prompt = format_.prompt(conversation_);
  if (!prompt.ok()) {
    take_back();
    return prompt.status();
  }
  auto answer = generate(*session_, *tokenizer_, *prompt, options, callbacks);
  if (!answer.ok() || (answer->finish == Finish::cancelled && answer->answer_tokens == 0)) {
    take_back();
    return answer;
  }
  conversation_.add("assistant", answer->text);
  return answer;
}

bool ChatSession::has_system() const {
  return !conversation_.messages.empty() && conversation_.messages.front()["role"] == "system";
}

void ChatSession::set_system(std::string_view text) {
  Json& messages = conversation_.messages;
  if (has_system()) messages.erase(messages.begin());
  if (!text.empty()) messages.insert(messages.begin(), Json{{"role", "system"}, {"content", std::string(text)}});
}

std::string_view ChatSession::system() const {
  return has_system() ? std::string_view(conversation_.messages.front()["content"].get_ref<const std::string&>())
                      : std::string_view();
}

void ChatSession::reset() {
  const std::string kept(system());
  conversation_.messages = Json::array();
  set_system(kept);
  static_cast<void>(session_->truncate(0).ok());  // to nothing is always possible
}

Status ChatSession::save(const std::string& path) const {
  const Json note = {{"messages", conversation_.messages}};
  return session_->save(path, to_text(note));
}

Status ChatSession::load(const std::string& path) {
  Session loaded(session_->runner());
  std::string note;
  KL_TRY(loaded.load(path, &note));
  auto json = parse_json(note);
  if (!json.ok() || !json->is_object() || !json->contains("messages") || !are_messages((*json)["messages"])) {
    return error(Code::corrupt, "{}: a saved session, and not of a conversation", path);
  }
  conversation_.messages = std::move((*json)["messages"]);
  *session_ = std::move(loaded);
  return ok_status();
}

}  // namespace kinglet
