// Conversations: messages and a chat template to the tokens of a prompt.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/chat_source.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {

/// What a template writes: messages in the usual form, [{"role": "user", "content": "..."}, ...].
struct Conversation {
  Json messages = Json::array();
  Json tools;                         ///< null or an array
  Json variables = Json::object();    ///< more for the template, e.g. {"enable_thinking": false}
  bool add_generation_prompt = true;  ///< end where the assistant's answer begins
  std::optional<int64_t> now;         ///< seconds since 1970, for strftime_now; absent: the clock

  void add(std::string_view role, std::string_view content);
};

/// A conversation as text. No control token is recognized across a seam.
struct RenderedChat {
  std::string text;
  std::vector<size_t> seams;  ///< ascending byte offsets
};

/// How one model writes a conversation.
///
/// Special tokens come from the template only. The same texts inside messages, tools or variables ("<|im_end|>" in a
/// question about chat formats) stay text: before rendering, each place in them where the text of a control token
/// begins gets a mark inside, a Unicode noncharacter that nothing in the conversation or the template contains. After
/// rendering the marks are taken out again, and no control token is recognized across such a place. What the template
/// does with the text (trimming, splitting, tojson) sees no difference, but that it does not find the control token
/// either.
class ChatFormat {
 public:
  /// `tokenizer` must outlive it; `source` is what chat_source() found in the model, or has the text of another
  /// template. Errors: not_found where there is no template, with what to do; and those of ChatTemplate::compile.
  static Result<ChatFormat> create(const Tokenizer& tokenizer, ChatSource source);

  /// The conversation as the template writes it. Errors: those of ChatTemplate::render (the template's own refusals
  /// among them); invalid_argument for a conversation that uses all 32 noncharacters.
  Result<RenderedChat> render(const Conversation& conversation) const;

  /// Tokens of what was rendered. BOS comes first where the model wants one, and once: a template that writes it is not
  /// helped.
  std::vector<TokenId> encode(const RenderedChat& chat) const;

  /// encode(render(conversation)).
  Result<std::vector<TokenId>> prompt(const Conversation& conversation) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const ChatSource& source() const { return source_; }

 private:
  ChatFormat(const Tokenizer& tokenizer, ChatSource source, ChatTemplate chat_template,
             std::optional<ChatTemplate> for_tools)
      : tokenizer_(&tokenizer),
        source_(std::move(source)),
        template_(std::move(chat_template)),
        for_tools_(std::move(for_tools)) {}
  Json variables_of(const Conversation& conversation) const;
  Result<std::string> unused_mark(const Json& variables) const;
  void put_marks(Json& value, const std::string& mark) const;
  std::string marked(const std::string& text, const std::string& mark) const;

  const Tokenizer* tokenizer_;
  ChatSource source_;
  ChatTemplate template_;
  std::optional<ChatTemplate> for_tools_;  ///< where the model has one of its own for conversations with tools
};

/// Tokens of a plain text that a model is to continue: BOS where the model wants one. Special tokens in it are text
/// unless asked for.
std::vector<TokenId> plain_prompt(const Tokenizer& tokenizer, std::string_view text,
                                  SpecialTokens special = SpecialTokens::as_text);

}  // namespace kinglet
