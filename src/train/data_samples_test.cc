// What of a row is learned: answers, and nothing else unless asked.
#include "train/data_samples.h"

#include "tokenizer/testing.h"

namespace kinglet::train {
namespace {

constexpr TokenId kEnd = 2;  // <|im_end|>
constexpr char kTemplate[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

class Samples : public ByteTokenizerTest {
 protected:
  SampleMaker maker(SampleOptions options = {}, std::string text = kTemplate) const {
    auto made = SampleMaker::create(&*tokenizer_, {.text = std::move(text)}, options);
    EXPECT_TRUE(made.ok()) << made.status().text();
    return *std::move(made);
  }
  static Row row(const char* json) {
    auto content = parse_row(Json::parse(json));
    EXPECT_TRUE(content.ok()) << content.status().text();
    return {.file = "test", .line = 1, .content = *std::move(content)};
  }
  Result<Sample> sample(const char* json, SampleOptions options = {}, std::string text = kTemplate) {
    return maker(options, std::move(text)).sample(row(json), cut_);
  }
  std::string masked(const char* json, SampleOptions options = {}, std::string text = kTemplate) {
    const auto made = sample(json, options, std::move(text));
    EXPECT_TRUE(made.ok()) << made.status().text();
    return made.ok() ? masked_text(&*tokenizer_, *made) : "";
  }
  Cut cut_;
};

constexpr char kTwoTurns[] = R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"},
                                              {"role": "user", "content": "So?"}, {"role": "assistant", "content": "No."}]})";

TEST_F(Samples, OnlyAnswersCountUpToTheirEndToken) {
  EXPECT_EQ(masked(kTwoTurns),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n«Ho<|im_end|>»\n"
            "<|im_start|>user\nSo?<|im_end|>\n<|im_start|>assistant\n«No.<|im_end|>»\n");
}

TEST_F(Samples, TheLastAnswerOrEverythingWhereAsked) {
  EXPECT_EQ(masked(kTwoTurns, {.loss = LossOn::last_answer}),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n"
            "<|im_start|>user\nSo?<|im_end|>\n<|im_start|>assistant\n«No.<|im_end|>»\n");
  const auto all = sample(kTwoTurns, {.loss = LossOn::everything});
  EXPECT_EQ(all->ids, all->labels);
}

TEST_F(Samples, APromptIsWhatTheUserSays) {
  EXPECT_EQ(masked(R"({"prompt": "1 + 1?", "completion": "2"})"),
            "<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n«2<|im_end|>»\n");
  // What it is asked with is what the program that serves the model evaluates.
  const auto made = sample(R"({"prompt": "1 + 1?", "completion": "2"})");
  Conversation asked;
  asked.add("user", "1 + 1?");
  const auto prompt = ChatFormat::create(*tokenizer_, {.text = kTemplate})->prompt(asked);
  ASSERT_LT(prompt->size(), made->ids.size());
  EXPECT_TRUE(std::equal(prompt->begin(), prompt->end(), made->ids.begin()));
  EXPECT_EQ(made->labels[prompt->size() - 1], kIgnore);
  EXPECT_NE(made->labels[prompt->size()], kIgnore);
}

TEST_F(Samples, PlainPromptsAreJoinedAsTheyStand) {
  EXPECT_EQ(masked(R"({"prompt": "1 + 1 =", "completion": " 2"})", {.plain_prompts = true}), "1 + 1 =« 2<|im_end|>»");
  EXPECT_EQ(masked(R"({"prompt": "1 + 1 =", "completion": " 2"})", {}, ""), "1 + 1 =« 2<|im_end|>»");
  EXPECT_EQ(masked(R"({"prompt": "a", "completion": "b"})", {.plain_prompts = true, .end_of_text = false}), "a«b»");
}

TEST_F(Samples, AWholeTextCountsButItsFirstToken) { EXPECT_EQ(masked(R"({"text": "abc"})"), "a«bc<|im_end|>»"); }

TEST_F(Samples, SpecialTokensInMessagesAreText) {
  const auto made = sample(R"({"prompt": "a", "completion": "b<|im_end|>c"})");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(std::count(made->labels.begin(), made->labels.end(), kEnd), 1);
}

TEST_F(Samples, ATemplateThatChangesEarlierAnswersStopsTheRun) {
  // As some models' templates do with what an assistant thought.
  constexpr char kForgets[] =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}thought {% endif %}"
      "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  const auto made = sample(kTwoTurns, {}, kForgets);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), Code::unsupported);
  EXPECT_NE(made.status().text().find("--loss last"), std::string_view::npos) << made.status().text();
  EXPECT_EQ(masked(kTwoTurns, {.loss = LossOn::last_answer}, kForgets),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n"
            "<|im_start|>user\nSo?<|im_end|>\n<|im_start|>assistant\n«thought No.<|im_end|>»\n");
  constexpr char kOtherPrompt[] =
      "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}Bot: "
      "{% endif %}";
  EXPECT_EQ(sample(kTwoTurns, {}, kOtherPrompt).status().code(), Code::unsupported);
}

TEST_F(Samples, NothingToLearnIsAnError) {
  EXPECT_EQ(sample(R"({"messages": [{"role": "user", "content": "Hi"}]})").status().code(), Code::corrupt);
  EXPECT_EQ(sample(R"({"input_ids": [7]})").status().code(), Code::corrupt);
  EXPECT_EQ(sample(R"({"input_ids": [7, 8], "labels": [7, -100]})").status().code(), Code::corrupt);
}

TEST_F(Samples, IdsAndLabelsMustLieInTheVocabulary) {
  const SampleOptions options{.vocabulary = 259};
  EXPECT_TRUE(sample(R"({"input_ids": [1, 258]})", options).ok());
  EXPECT_EQ(sample(R"({"input_ids": [1, 259]})", options).status().code(), Code::out_of_range);
  EXPECT_EQ(sample(R"({"input_ids": [1, -1]})", options).status().code(), Code::out_of_range);
  EXPECT_EQ(sample(R"({"input_ids": [1, 2], "labels": [-100, 999]})", options).status().code(), Code::out_of_range);
  EXPECT_EQ(sample(R"({"input_ids": [1, 2], "labels": [-99, 2]})", options).status().code(), Code::out_of_range);
}

TEST_F(Samples, IdsNeedNoTokenizer) {
  const auto made = SampleMaker::create(nullptr, {}, {.vocabulary = 10});
  ASSERT_TRUE(made.ok()) << made.status().text();
  const auto ids = made->sample(row(R"({"input_ids": [1, 2, 3], "labels": [1, -100, 3]})"), cut_);
  ASSERT_TRUE(ids.ok()) << ids.status().text();
  EXPECT_EQ(masked_text(nullptr, *ids), "1 2« 3»");
  EXPECT_EQ(made->sample(row(R"({"text": "a"})"), cut_).status().code(), Code::invalid_argument);
}

TEST_F(Samples, CutsAreSaid) {
  const auto made = sample(R"({"prompt": "a", "completion": "bcdefghij"})", {.max_length = 6, .plain_prompts = true});
  EXPECT_EQ(made->ids.size(), 6U);
  EXPECT_EQ(cut_.tokens, 5);
  EXPECT_TRUE(sample(R"({"text": "abcdefghij"})", {.max_length = 6}).ok());
  EXPECT_EQ(cut_.tokens, 0);
}

TEST_F(Samples, APairSharesItsPrompt) {
  Cut cut;
  const auto pair = maker().pair(row(R"({"prompt": "a", "chosen": "yes", "rejected": "no"})"), cut);
  ASSERT_TRUE(pair.ok()) << pair.status().text();
  EXPECT_EQ(masked_text(&*tokenizer_, pair->chosen),
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n«yes<|im_end|>»\n");
  EXPECT_EQ(masked_text(&*tokenizer_, pair->rejected),
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n«no<|im_end|>»\n");
  EXPECT_FALSE(maker().pair(row(R"({"prompt": "a", "completion": "b"})"), cut).ok());
  EXPECT_FALSE(sample(R"({"prompt": "a", "chosen": "yes", "rejected": "no"})").ok());
}

TEST_F(Samples, AConversationWithoutATemplateIsRefused) {
  EXPECT_EQ(sample(kTwoTurns, {}, "").status().code(), Code::unsupported);
}

}  // namespace
}  // namespace kinglet::train
