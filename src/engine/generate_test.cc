#include "engine/generate.h"

#include <algorithm>
#include <regex>

#include "engine/testing.h"
#include "grammar/regex.h"
#include "host/testing.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

class Generate : public TinyModel {
 protected:
  std::vector<TokenId> encode(std::string_view text) const { return tokenizer_->encode(text); }
  Generation run(Session& session, std::string_view prompt, const GenerateOptions& options,
                 const GenerateCallbacks& callbacks = {}) {
    auto answer = generate(session, *tokenizer_, encode(prompt), options, callbacks);
    EXPECT_TRUE(answer.ok()) << answer.status().text();
    return answer.ok() ? *std::move(answer) : Generation{};
  }
  /// High temperature: a tiny random model then says all sorts of bytes.
  static GenerateOptions wild(uint64_t seed, int64_t max_tokens) {
    GenerateOptions options{.max_tokens = max_tokens};
    options.sampling = {.temperature = 2, .top_k = 0, .top_p = 1, .min_p = 0, .seed = seed};
    options.sampling.logit_bias[2] = -std::numeric_limits<float>::infinity();  // no end
    return options;
  }
};

TEST_F(Generate, StreamsWholeCharactersAndCounts) {
  Session session(*runner_);
  std::string streamed;
  const auto answer = run(session, "Hello", wild(3, 60), {.on_text = [&](std::string_view piece) {
                            EXPECT_FALSE(piece.empty());
                            EXPECT_EQ(replace_invalid_utf8(piece), piece);
                            streamed += piece;
                            return true;
                          }});
  EXPECT_EQ(answer.finish, Finish::length);
  EXPECT_EQ(answer.answer_tokens, 60);
  EXPECT_EQ(answer.prompt_tokens, 5);
  EXPECT_EQ(answer.cached_tokens, 0);
  EXPECT_EQ(answer.text, streamed);
  EXPECT_GT(answer.first_seconds, 0);
  EXPECT_GE(answer.first_seconds, answer.prompt_seconds);
}

TEST_F(Generate, SeedsReproduceAndDiffer) {
  Session a(*runner_), b(*runner_), c(*runner_);
  const std::string text = run(a, "Hello", wild(3, 40)).text;
  EXPECT_EQ(run(b, "Hello", wild(3, 40)).text, text);
  EXPECT_NE(run(c, "Hello", wild(4, 40)).text, text);
}

TEST_F(Generate, StopTextsEndItAndAreLeftOut) {
  Session whole(*runner_);
  const std::string text = run(whole, "Hello", wild(5, 60)).text;
  // Several tokens long (each is a byte), so it lies across their borders.
  const size_t at = 20;
  size_t begin = at;
  while ((static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) ++begin;
  size_t end = begin + 6;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  GenerateOptions options = wild(5, 60);
  options.stops = {"not there", text.substr(begin, end - begin)};
  Session session(*runner_);
  std::string streamed;
  const auto answer =
      run(session, "Hello", options, {.on_text = [&](std::string_view piece) { return streamed += piece, true; }});
  EXPECT_EQ(answer.finish, Finish::stop);
  EXPECT_EQ(answer.stop, options.stops[1]);
  EXPECT_EQ(answer.text, text.substr(0, text.find(options.stops[1])));
  EXPECT_EQ(streamed, answer.text);
}

TEST_F(Generate, TheEndTokenEndsItAndIsNotText) {
  GenerateOptions options = wild(1, 60);
  options.sampling.logit_bias = {{2, 1000.0f}};
  Session session(*runner_);
  const auto answer = run(session, "Hello", options);
  EXPECT_EQ(answer.finish, Finish::end);
  EXPECT_EQ(answer.text, "");
  EXPECT_EQ(answer.answer_tokens, 0);
}

TEST_F(Generate, KeepsToAGrammarAndEndsWithIt) {
  auto grammar = grammar::compile_regex("(ab|é)+[0-9]{2}!");
  ASSERT_TRUE(grammar.ok()) << grammar.status().text();
  const auto constraint = std::make_shared<const Constraint>(
      Constraint{std::make_shared<grammar::Automaton>(*std::move(grammar), text_tokens(*tokenizer_))});
  for (uint64_t seed = 0; seed < 8; ++seed) {
    GenerateOptions options = wild(seed, 0);
    options.sampling.logit_bias.clear();
    options.constraint = constraint;
    Session session(*runner_);
    const Generation answer = run(session, "Go", options);
    EXPECT_EQ(answer.finish, Finish::end);
    EXPECT_TRUE(std::regex_match(answer.text, std::regex("(ab|é)+[0-9]{2}!"))) << answer.text;
  }
}

TEST_F(Generate, AFullContextStopsAndSaysSo) {
  open("qwen2.5", {.context = 20});
  Session session(*runner_);
  const auto answer = run(session, "Hello", wild(1, 0));
  EXPECT_EQ(answer.finish, Finish::context);
  EXPECT_EQ(session.length(), 20);
  EXPECT_EQ(answer.answer_tokens, 16);  // 15 fit behind the prompt, and one more is known

  Session other(*runner_);
  const auto refused = generate(other, *tokenizer_, encode("This prompt is longer than twenty."), wild(1, 0));
  EXPECT_EQ(refused.status().code(), Code::out_of_range);
  EXPECT_NE(refused.status().text().find("context of 20"), std::string_view::npos) << refused.status().text();
  EXPECT_EQ(other.length(), 0);
}

TEST_F(Generate, CanBeCancelledAnywhere) {
  Session session(*runner_);
  int pieces = 0;
  const auto answer = run(session, "Hello", wild(1, 0), {.on_text = [&](std::string_view) { return ++pieces < 4; }});
  EXPECT_EQ(answer.finish, Finish::cancelled);
  EXPECT_EQ(pieces, 4);

  Session silent(*runner_);
  const auto said = run(silent, "Hello", wild(1, 0), {.keep_going = [&] { return silent.length() < 9; }});
  EXPECT_EQ(said.finish, Finish::cancelled);
  EXPECT_EQ(said.answer_tokens, 5);  // the fifth was chosen and not evaluated: the session holds 5 + 4

  Session inside(*runner_);
  int asked = 0;
  const auto nothing = run(inside, "Hello", wild(1, 0), {.keep_going = [&] { return ++asked < 7; }});
  EXPECT_EQ(nothing.finish, Finish::cancelled);
  EXPECT_EQ(asked, 7);
  EXPECT_EQ(inside.length(), 0);

  open("qwen2.5", {.batch_tokens = 8});
  Session prompt(*runner_);
  const auto stopped = run(prompt, "a prompt of several batches", wild(1, 0),
                           {.on_prompt = [](int64_t done, int64_t) { return done < 16; }});
  EXPECT_EQ(stopped.finish, Finish::cancelled);
  EXPECT_EQ(stopped.answer_tokens, 0);
  EXPECT_EQ(prompt.length(), 16);
  Session fresh(*runner_);
  EXPECT_EQ(run(prompt, "a prompt of several batches", wild(1, 9)).text,
            run(fresh, "a prompt of several batches", wild(1, 9)).text);
}

TEST_F(Generate, ChangingLongRopeFactorsLosesNoToken) {
  open("phi-3-mini-128k", {.batch_tokens = 8});  // original context: 16
  std::vector<TokenId> ids(24);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<TokenId>(3 + i);
  const auto first = std::span(ids).first(12), second = std::span(ids).subspan(12);
  Session session(*runner_), fresh(*runner_);
  ASSERT_TRUE(session.append(first).ok());
  const Status stopped = session.append(second, [](int64_t done, int64_t) { return done < 8; });
  EXPECT_EQ(stopped.code(), Code::cancelled);
  EXPECT_TRUE(std::ranges::equal(session.tokens(), first));
  EXPECT_TRUE(session.next_logits().empty());
  ASSERT_TRUE(session.append(second).ok());
  ASSERT_TRUE(fresh.append(ids).ok());
  EXPECT_EQ(session.tokens(), ids);
  EXPECT_TRUE(std::ranges::equal(session.next_logits(), fresh.next_logits()));
}

TEST_F(Generate, KeepsTheCommonBeginning) {
  Session session(*runner_), fresh(*runner_);
  const GenerateOptions options = wild(9, 12);
  const auto first = run(session, "Hello there", options);
  const auto again = run(session, "Hello there", options);  // the answer is in the session: only the prompt is common
  EXPECT_EQ(again.text, first.text);
  EXPECT_EQ(again.cached_tokens, 10);  // the last token's logits are needed again
  const auto other = run(session, "Hello world", options);
  EXPECT_EQ(other.cached_tokens, 6);
  EXPECT_EQ(other.text, run(fresh, "Hello world", options).text);
}

TEST_F(Generate, ASavedSessionGoesOnAsItWouldHave) {
  for (const char* name : {"qwen2.5", "gemma-3"}) {  // the latter with windows that have let go of keys
    open(name, {});
    Session session(*runner_);
    const std::string prompt = "A prompt that is longer than the window of a layer";
    ASSERT_TRUE(session.append(encode(prompt)).ok());
    const TempFolder folder;
    ASSERT_TRUE(session.save(folder.file("session"), "a note").ok());
    const auto expected = run(session, prompt, wild(6, 30));

    Session restored(*runner_);
    std::string note;
    const Status loaded = restored.load(folder.file("session"), &note);
    ASSERT_TRUE(loaded.ok()) << loaded.text();
    EXPECT_EQ(note, "a note");
    const auto answer = run(restored, prompt, wild(6, 30));
    EXPECT_EQ(answer.text, expected.text) << name;
    EXPECT_EQ(answer.cached_tokens, answer.prompt_tokens) << "nothing is evaluated again";
  }
}

TEST_F(Generate, ADamagedSessionFileIsRefusedAndChangesNothing) {
  Session session(*runner_);
  ASSERT_TRUE(session.append(encode("Hello")).ok());
  const TempFolder folder;
  ASSERT_TRUE(session.save(folder.file("session")).ok());
  const std::string whole = *read_file(folder.file("session"));
  for (size_t size = 0; size < whole.size(); size += 1 + size / 3) {
    ASSERT_TRUE(write_file(folder.file("cut"), whole.substr(0, size)).ok());
    Session other(*runner_);
    EXPECT_FALSE(other.load(folder.file("cut")).ok()) << size;
    EXPECT_EQ(other.length(), 0);
  }
  open("gemma-3", {});
  Session gemma(*runner_);
  EXPECT_EQ(gemma.load(folder.file("session")).code(), Code::invalid_argument);
}

TEST_F(Generate, RefusesWhatMakesNoSense) {
  Session session(*runner_);
  EXPECT_EQ(generate(session, *tokenizer_, {}, GenerateOptions()).status().code(), Code::invalid_argument);
  GenerateOptions options;
  options.max_tokens = -1;
  EXPECT_EQ(generate(session, *tokenizer_, encode("x"), options).status().code(), Code::invalid_argument);
  options = GenerateOptions();
  options.stops = {""};
  EXPECT_EQ(generate(session, *tokenizer_, encode("x"), options).status().code(), Code::invalid_argument);
}

}  // namespace
}  // namespace kinglet
