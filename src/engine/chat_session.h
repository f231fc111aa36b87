// A conversation that goes on: what was said, in a session that keeps what of it was evaluated.
#pragma once

#include <string>
#include <string_view>

#include "engine/generate.h"
#include "tokenizer/chat_format.h"

namespace kinglet {

class ChatSession {
 public:
  /// `session` and `tokenizer` must outlive it; the session is its own from now on.
  ChatSession(Session& session, const Tokenizer& tokenizer, ChatFormat format)
      : session_(&session), tokenizer_(&tokenizer), format_(std::move(format)) {}

  /// Says `text` as the user and generates the assistant's answer. Each turn renders the whole conversation, and what
  /// the session holds of it is not evaluated again. Errors: those of ChatFormat::prompt and generate(); the
  /// conversation then stands as it was, and so it does where the prompt was cancelled before an answer began.
  Result<Generation> say(std::string_view text, const GenerateOptions& options,
                         const GenerateCallbacks& callbacks = {});

  /// The system's message, empty for none. In a conversation that has begun it changes the beginning: the next turn
  /// evaluates everything anew.
  void set_system(std::string_view text);
  std::string_view system() const;

  /// Forgets what was said, but for the system's message.
  void reset();

  /// The conversation with its keys and values to a file, and back. Errors: those of Session::save and load; corrupt
  /// where the file holds no conversation. A failed load leaves all as it was.
  Status save(const std::string& path) const;
  Status load(const std::string& path);

  const Json& messages() const { return conversation_.messages; }
  /// Whether anything but the system's message has been said.
  bool begun() const { return messages().size() > (has_system() ? 1u : 0u); }
  Session& session() { return *session_; }

 private:
  bool has_system() const;

  Session* session_;
  const Tokenizer* tokenizer_;
  ChatFormat format_;
  Conversation conversation_;
};

}  // namespace kinglet
