// Conversations: turns that reuse what was evaluated.
#include "engine/chat_session.h"

#include "engine/testing.h"
#include "host/testing.h"

namespace kinglet {
namespace {

constexpr char kTemplate[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if tools %}{{ tools | tojson }}{% endif %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

class ChatTurns : public TinyModel {
 protected:
  ChatSession chat(Session& session) {
    auto format = ChatFormat::create(*tokenizer_, {.text = kTemplate});
    EXPECT_TRUE(format.ok()) << format.status().text();
    return ChatSession(session, *tokenizer_, *std::move(format));
  }
  static GenerateOptions options(int64_t max_tokens) {
    GenerateOptions out{.max_tokens = max_tokens};
    // Letters only: what the model says then comes back from its text as the same tokens.
    for (TokenId id = 0; id < 320; ++id) out.sampling.logit_bias[id] = -std::numeric_limits<float>::infinity();
    for (TokenId id = 0; id < 320; ++id) {
      if (letters().contains(id)) out.sampling.logit_bias.erase(id);
    }
    out.sampling.temperature = 2;
    return out;
  }
  static const std::set<TokenId>& letters() {
    static const std::set<TokenId> ids = [] {
      const auto tokenizer = byte_tokenizer();
      const auto all = tokenizer->encode("abcdefghijklmnopqrstuvwxyz");
      return std::set<TokenId>(all.begin(), all.end());
    }();
    return ids;
  }
};

TEST_F(ChatTurns, EachTurnEvaluatesOnlyWhatIsNew) {
  Session session(*runner_);
  ChatSession turns = chat(session);
  turns.set_system("Be kind.");
  const auto first = turns.say("Hi", options(10));
  ASSERT_TRUE(first.ok()) << first.status().text();
  EXPECT_EQ(first->cached_tokens, 0);
  const int64_t held = session.length();
  const auto second = turns.say("And?", options(10));
  ASSERT_TRUE(second.ok()) << second.status().text();
  EXPECT_EQ(second->cached_tokens, held);
  ASSERT_EQ(turns.messages().size(), 5U);
  EXPECT_EQ(turns.messages()[2]["content"], first->text);

  Session fresh(*runner_);
  ChatSession same = chat(fresh);
  same.set_system("Be kind.");
  EXPECT_EQ(same.say("Hi", options(10))->text, first->text);
  EXPECT_EQ(same.say("And?", options(10))->text, second->text);
}

TEST_F(ChatTurns, AFailureLeavesTheConversation) {
  open("qwen2.5", {.context = 64});
  Session session(*runner_);
  ChatSession turns = chat(session);
  ASSERT_TRUE(turns.say("Hi", options(4)).ok());
  EXPECT_EQ(turns.say(std::string(100, 'x'), options(4)).status().code(), Code::out_of_range);
  EXPECT_EQ(turns.messages().size(), 2U);
  const auto cancelled = turns.say("Hm", options(4),
                                   {
                                       .on_prompt = [](int64_t, int64_t) { return true; },
                                   });
  EXPECT_EQ(turns.messages().size(), cancelled.ok() ? 4U : 2U);
}

TEST_F(ChatTurns, SavedAndLoadedItGoesOnTheSame) {
  const TempFolder folder;
  Session session(*runner_);
  ChatSession turns = chat(session);
  turns.set_system("Be brief.");
  ASSERT_TRUE(turns.say("Hi", options(8)).ok());
  ASSERT_TRUE(turns.save(folder.file("talk")).ok());
  const auto expected = turns.say("More", options(8));

  Session other(*runner_);
  ChatSession restored = chat(other);
  const Status loaded = restored.load(folder.file("talk"));
  ASSERT_TRUE(loaded.ok()) << loaded.text();
  EXPECT_EQ(restored.system(), "Be brief.");
  EXPECT_EQ(restored.messages().size(), 3U);
  const auto answer = restored.say("More", options(8));
  EXPECT_EQ(answer->text, expected->text);
  EXPECT_GT(answer->cached_tokens, 0);

  ASSERT_TRUE(other.save(folder.file("no talk"), "[]").ok());
  EXPECT_EQ(restored.load(folder.file("no talk")).code(), Code::corrupt);
  EXPECT_EQ(restored.messages().size(), 5U);
}

TEST_F(ChatTurns, ResetKeepsTheSystemMessage) {
  Session session(*runner_);
  ChatSession turns = chat(session);
  turns.set_system("One.");
  ASSERT_TRUE(turns.say("Hi", options(4)).ok());
  turns.reset();
  EXPECT_EQ(session.length(), 0);
  EXPECT_EQ(turns.messages().size(), 1U);
  turns.set_system("");
  EXPECT_EQ(turns.messages().size(), 0U);
  EXPECT_EQ(turns.system(), "");
}

}  // namespace
}  // namespace kinglet
