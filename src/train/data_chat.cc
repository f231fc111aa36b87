#include "train/data_chat.h"

#include <algorithm>

#include "host/error.h"

namespace kinglet::train {
namespace {

bool is_answer(const Json& message) {
  const auto role = message.find("role");
  return role != message.end() && *role == "assistant";
}

/// The first `count` messages; `prompt`: with the beginning of the next answer.
enum class Ending { whole, prompt };
Result<RenderedChat> render_first(const ChatFormat& format, const Conversation& conversation, size_t count,
                                  Ending ending) {
  Conversation part = conversation;
  part.messages.erase(part.messages.begin() + static_cast<ptrdiff_t>(count), part.messages.end());
  part.add_generation_prompt = ending == Ending::prompt;
  return format.render(part);
}

Status mismatch(size_t message, std::string_view what) {
  return error(Code::unsupported,
               "the chat template {} at message {}: what it writes for a prompt is not how it writes the whole "
               "conversation, so no loss mask is right; train on the last answer only (--loss last), or give another "
               "template with --template FILE",
               what, message + 1);
}

/// Ends the range behind its last end-of-turn token, where it has one.
void end_at_end_token(const Tokenizer& tokenizer, std::span<const TokenId> ids, AnswerRange& range) {
  const auto ends = tokenizer.end_tokens();
  for (size_t i = range.end; i > range.begin; --i) {
    if (!std::binary_search(ends.begin(), ends.end(), ids[i - 1])) continue;
    range.end = i;
    return;
  }
}

}  // namespace

size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  const auto limit = static_cast<ptrdiff_t>(std::min(a.size(), b.size()));
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + limit, b.begin()).first - a.begin());
}

Result<AnsweredChat> encode_answers(const ChatFormat& format, const Conversation& conversation, size_t first) {
  const Json& messages = conversation.messages;
  KL_ASSIGN(const RenderedChat whole, render_first(format, conversation, messages.size(), Ending::whole));
  AnsweredChat out{.ids = format.encode(whole), .answers = {}};
  for (size_t i = first; i < messages.size(); ++i) {
    if (!is_answer(messages[i])) continue;
    KL_ASSIGN(const RenderedChat prompt, render_first(format, conversation, i, Ending::prompt));
    if (!whole.text.starts_with(prompt.text)) return mismatch(i, "does not begin an answer the way it asks for one");
    AnswerRange range{common_prefix(format.encode(prompt), out.ids), out.ids.size()};
    if (i + 1 < messages.size()) {
      KL_ASSIGN(const RenderedChat answered, render_first(format, conversation, i + 1, Ending::whole));
      if (!whole.text.starts_with(answered.text) || !answered.text.starts_with(prompt.text))
        return mismatch(i, "changes an answer when another message follows");
      range.end = common_prefix(format.encode(answered), out.ids);
    }
    end_at_end_token(format.tokenizer(), out.ids, range);
    if (range.begin < range.end) out.answers.push_back(range);
  }
  return out;
}

}  // namespace kinglet::train
