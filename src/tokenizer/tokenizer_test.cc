// The public interface: special tokens, decoding, streaming, and files that are wrong.
#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <random>
#include <thread>

#include "formats/json.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

using Ids = std::vector<TokenId>;

Result<Tokenizer> from_json(std::string_view text, std::string_view config = "null") {
  const auto json = parse_json(text);
  const auto config_json = parse_json(config);
  if (!json.ok()) return json.status();
  if (!config_json.ok()) return config_json.status();
  return Tokenizer::from_tokenizer_json(*json, *config_json);
}

/// Bytes a, b and the space; <s> and </s> are control tokens, <tool> is user-defined, <mask> eats spaces on both sides.
constexpr std::string_view kByteLevel = R"({
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "\u0120": 2, "<": 3, ">": 4, "s": 5, "ab": 6}, "merges": [["a", "b"]]},
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "decoder": {"type": "ByteLevel"},
  "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]},
  "added_tokens": [
    {"id": 7, "content": "<s>", "special": true},
    {"id": 8, "content": "</s>", "special": true},
    {"id": 9, "content": "<tool>", "special": false},
    {"id": 10, "content": "<mask>", "special": true, "lstrip": true, "rstrip": true},
    {"id": 11, "content": "word", "special": false, "single_word": true},
    {"id": 12, "content": "<s>>", "special": true},
    {"id": 13, "content": "<|im_end|>", "special": false}]})";

TEST(Tokenizer, SpecialTokensAreTextUnlessAskedFor) {
  const auto tokenizer = from_json(kByteLevel);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
  EXPECT_EQ(tokenizer->encode("<s>ab"), (Ids{3, 5, 4, 6}));
  EXPECT_EQ(tokenizer->encode("<s>ab", SpecialTokens::parse), (Ids{7, 6}));
  EXPECT_EQ(tokenizer->encode("a<tool>b"), (Ids{0, 9, 1}));
  EXPECT_EQ(tokenizer->encode("a<tool>b", SpecialTokens::parse), (Ids{0, 9, 1}));
  EXPECT_EQ(tokenizer->encode("<s>>", SpecialTokens::parse), (Ids{12}));  // the longest
  EXPECT_EQ(tokenizer->encode("a  <mask>  b", SpecialTokens::parse), (Ids{0, 10, 1}));
  EXPECT_EQ(tokenizer->encode("  <mask>  ", SpecialTokens::parse), (Ids{10}));
  EXPECT_EQ(tokenizer->encode("word").size(), 1u);
  for (const TokenId id : tokenizer->encode("awordb")) EXPECT_NE(id, 11);
  EXPECT_TRUE(tokenizer->encode("").empty());
}

TEST(Tokenizer, EndsOfTurnsAreControlTokensWhateverTheFileSays) {
  const auto tokenizer = from_json(kByteLevel);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_TRUE(tokenizer->is_control(13));
  for (const TokenId id : tokenizer->encode("<|im_end|>")) EXPECT_NE(id, 13);
  EXPECT_EQ(tokenizer->encode("<|im_end|>", SpecialTokens::parse), (Ids{13}));
}

TEST(Tokenizer, BeginAndEndTokens) {
  const auto tokenizer = from_json(kByteLevel, R"({"eos_token": {"content": "</s>"}, "chat_template": [
      {"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]})");
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->bos(), 7);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->eos(), 8);
  EXPECT_FALSE(tokenizer->adds_eos());
  EXPECT_EQ(Ids(tokenizer->end_tokens().begin(), tokenizer->end_tokens().end()), (Ids{8, 13}));
  EXPECT_EQ(tokenizer->chat_template(), "yes");
  EXPECT_EQ(tokenizer->vocab_size(), 14);
  EXPECT_EQ(tokenizer->find("ab"), 6);
  EXPECT_EQ(tokenizer->find("nothing"), std::nullopt);
}

TEST(Tokenizer, DecodesControlTokensOnlyWhereAskedFor) {
  const auto tokenizer = from_json(kByteLevel);
  ASSERT_TRUE(tokenizer.ok());
  const Ids ids = {7, 6, 2, 9, 1, 13};
  EXPECT_EQ(tokenizer->decode(ids), "ab <tool>b");
  EXPECT_EQ(tokenizer->decode(ids, SpecialTokens::parse), "<s>ab <tool>b<|im_end|>");
  EXPECT_EQ(tokenizer->decode(Ids{-1, 99, 0, INT32_MAX, INT32_MIN}), "a");
  EXPECT_EQ(tokenizer->piece(-1), "");
  EXPECT_EQ(tokenizer->token_text(1000), "");
  EXPECT_FALSE(tokenizer->is_control(1000));
}

TEST(Tokenizer, ThreadsShareOne) {
  const auto tokenizer = from_json(kByteLevel);
  ASSERT_TRUE(tokenizer.ok());
  const std::string text = "ab ab a b <tool> abab";
  const Ids want = tokenizer->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t i = 0; i < wrong.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 500; ++n) wrong[i] += tokenizer->encode(text) != want;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

/// A SentencePiece-like tokenizer.json: characters, byte fallback, a space mark before the text.
constexpr std::string_view kPieces = R"({
  "model": {"type": "BPE", "byte_fallback": true, "fuse_unk": true, "unk_token": "<unk>",
            "vocab": {"<unk>": 0, "\u2581": 1, "a": 2, "b": 3, "\u2581a": 4, "<0xC3>": 5, "<0xA9>": 6, "<0xE4>": 8},
            "merges": ["\u2581 a"]},
  "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"},
                 {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
  "added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 7, "content": "<s>", "special": true}]})";

TEST(Tokenizer, SpacePrefixGoesInAndComesOff) {
  const auto tokenizer = from_json(kPieces);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
  EXPECT_EQ(tokenizer->encode("a b"), (Ids{4, 1, 3}));
  EXPECT_EQ(tokenizer->encode("<s>a", SpecialTokens::parse), (Ids{7, 4}));
  EXPECT_EQ(tokenizer->encode("\u00E9"), (Ids{1, 5, 6}));
  EXPECT_EQ(tokenizer->encode("\u4E2D"), (Ids{1, 0}));  // not all its bytes have tokens
  EXPECT_EQ(tokenizer->decode(Ids{4, 1, 3}), "a b");
  EXPECT_EQ(tokenizer->decode(Ids{7, 4, 1, 3}), "a b");
  EXPECT_EQ(tokenizer->decode(Ids{7, 4}, SpecialTokens::parse), "<s>a");
  EXPECT_EQ(tokenizer->piece(4), " a");
  EXPECT_EQ(tokenizer->piece(5), "\xC3");
}

TEST(StreamDecoder, GivesWholeCharacters) {
  const auto tokenizer = from_json(kPieces);
  ASSERT_TRUE(tokenizer.ok());
  StreamDecoder stream(*tokenizer);
  EXPECT_EQ(stream.push(7), "");
  EXPECT_EQ(stream.push(4), "a");
  EXPECT_EQ(stream.push(5), "");
  EXPECT_EQ(stream.push(6), "\u00E9");
  EXPECT_EQ(stream.push(4), " a");
  EXPECT_EQ(stream.push(5), "");
  EXPECT_EQ(stream.push(2), "\uFFFDa");
  EXPECT_EQ(stream.push(8), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
  EXPECT_EQ(stream.flush(), "");
  EXPECT_EQ(stream.push(4), "a");  // a new text
}

TEST(TokenizerJson, WhatIsWrongIsNamed) {
  const struct {
    const char* json;
    Code code;
    const char* names;
  } kWrong[] = {
      {"null", Code::corrupt, "vocab"},
      {"[]", Code::corrupt, "vocab"},
      {"{}", Code::corrupt, "vocab"},
      {R"({"model": 3})", Code::corrupt, "vocab"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}}})", Code::corrupt, "merges"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [7]}})", Code::corrupt, "merges"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["ab"]}})", Code::corrupt, "space"},
      {R"({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}})", Code::corrupt, "id"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 1e99}, "merges": []}})", Code::corrupt, "id"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 4000000000}, "merges": []}})", Code::corrupt, "id"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 18446744073709551615}, "merges": []}})", Code::corrupt, "id"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}})", Code::corrupt, "two tokens"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"}})",
       Code::unsupported, "end_of_word"},
      {R"({"model": {"type": "WordLevel", "vocab": {"a": 0}}})", Code::unsupported, "WordLevel"},
      {R"({"model": {"type": "Unigram", "vocab": [["a"]]}})", Code::corrupt, "score"},
      {R"({"model": {"type": "Unigram", "vocab": [["a", "b"]]}})", Code::corrupt, "score"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "normalizer": {"type": "Odd"}})",
       Code::unsupported, "Odd"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "*"}})",
       Code::corrupt, "base64"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "Odd"}})",
       Code::unsupported, "Odd"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "("}}})",
       Code::corrupt, "regular expression"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [{"content": "x"}]})",
       Code::corrupt, "id"},
  };
  for (const auto& wrong : kWrong) {
    const auto tokenizer = from_json(wrong.json);
    ASSERT_FALSE(tokenizer.ok()) << wrong.json;
    EXPECT_EQ(tokenizer.status().code(), wrong.code) << wrong.json << ": " << tokenizer.status().text();
    EXPECT_NE(tokenizer.status().text().find(wrong.names), std::string_view::npos) << tokenizer.status().text();
  }
}

TEST(TokenizerJson, ShapesThatAreOddAndHarmless) {
  for (
      const char* json : {
          R"({"model": {"type": "BPE", "vocab": {}, "merges": []}})",
          R"({"model": {"type": "Unigram", "vocab": [], "unk_id": 5}})",
          R"({"model": {"type": "WordPiece", "vocab": {"a": 3}, "unk_token": 7}})",
          R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "normalizer": 3.5, "post_processor": "x"})",
          R"({"model": {"type": "BPE", "vocab": {"": 0, "a": 1}, "merges": []}, "added_tokens": [{"id": 0, "content": ""}]})",
          R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": 7, "decoder": [], "pre_tokenizer": {"type": "Sequence", "pretokenizers": 3}})",
      }) {
    const auto tokenizer = from_json(json);
    if (!tokenizer.ok()) continue;  // refusing is as good
    tokenizer->decode(tokenizer->encode("a b\xFF \u4E2D <s>", SpecialTokens::parse));
  }
}

// -- SentencePiece's protobuf, written by hand --

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string field(int number, uint64_t value) { return varint(static_cast<uint64_t>(number) << 3) + varint(value); }
std::string field(int number, std::string_view bytes) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
std::string piece(std::string_view text, float score, uint64_t type) {
  const auto bits = std::bit_cast<uint32_t>(score);
  std::string number = varint(2 << 3 | 5);
  for (int i = 0; i < 4; ++i) number += static_cast<char>(bits >> 8 * i & 0xFF);
  return field(1, field(1, text) + number + field(3, type));
}
std::string small_model(uint64_t model_type) {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("\u2581", -3, 1) + piece("a", -4, 1) +
         piece("b", -5, 1) + piece("\u2581a", -1, 1) + piece("ab", -2, 1) + piece("<x>", 0, 4) +
         field(2, field(3, model_type) + field(40, 0) + field(41, 1) + field(42, 2)) +
         field(3, field(3, 1) + field(4, uint64_t{0}));
}

TEST(SentencePieceModel, BpeAndUnigram) {
  const auto bpe = Tokenizer::from_sentencepiece(small_model(2));
  ASSERT_TRUE(bpe.ok()) << bpe.status().text();
  EXPECT_EQ(bpe->encode("ab b"), (Ids{6, 5, 3, 5}));
  EXPECT_EQ(bpe->encode("a<x>a"), (Ids{6, 8, 6}));
  EXPECT_EQ(bpe->encode("<s>a", SpecialTokens::parse), (Ids{1, 6}));
  EXPECT_EQ(bpe->decode(bpe->encode("ab b a")), "ab b a");
  EXPECT_EQ(bpe->bos(), 1);
  EXPECT_TRUE(bpe->adds_bos());
  EXPECT_EQ(bpe->eos(), 2);
  const auto unigram = Tokenizer::from_sentencepiece(small_model(1));
  ASSERT_TRUE(unigram.ok()) << unigram.status().text();
  EXPECT_EQ(unigram->encode("ab"), (Ids{3, 7}));
  EXPECT_EQ(unigram->encode("ac"), (Ids{6, 0}));
  EXPECT_EQ(Tokenizer::from_sentencepiece(small_model(3)).status().code(), Code::unsupported);
}

TEST(SentencePieceModel, CutAndBentFilesAreErrorsOrModels) {
  const std::string model = small_model(1);
  for (size_t size = 0; size < model.size(); ++size) {
    const auto tokenizer = Tokenizer::from_sentencepiece(std::string_view(model).substr(0, size));
    if (tokenizer.ok()) tokenizer->decode(tokenizer->encode("ab <x>\xFF"));
  }
  EXPECT_FALSE(Tokenizer::from_sentencepiece("").ok());
  std::mt19937 random(41);
  for (int round = 0; round < 5000; ++round) {
    std::string bent = model;
    for (size_t n = 1 + random() % 4; n > 0; --n) bent[random() % bent.size()] = static_cast<char>(random());
    const auto tokenizer = Tokenizer::from_sentencepiece(bent);
    if (tokenizer.ok()) tokenizer->decode(tokenizer->encode("ab <x>\xFF ab", SpecialTokens::parse));
  }
}

// -- the vocabularies of the fixtures --

class RoundTrip : public testing::TestWithParam<const char*> {};

TEST_P(RoundTrip, RandomBytesComeBack) {
  const auto file =
      std::filesystem::path(KINGLET_SHARED_DIR) / "fixtures" / "vocab" / (std::string(GetParam()) + ".gguf");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "absent: " << file.string();
  const auto checkpoint = Checkpoint::open(file.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().text();
  const auto tokenizer = Tokenizer::load(*checkpoint);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
  const char* const words[] = {"the",
                               " quick",
                               "\n\n",
                               " ",
                               "   ",
                               "\t",
                               "caf\u00E9",
                               "\u4F60\u597D",
                               "<s>",
                               "</s>",
                               "123",
                               "!?",
                               std::string_view(GetParam()) == "phi-3" ? "x" : "<|endoftext|>",
                               "\xF0\x9F\x98\x80",
                               "\xFF",
                               "\xC3"};
  std::mt19937 random(43);
  for (int round = 0; round < 400; ++round) {
    std::string text;
    if (round % 2 == 0) {
      for (size_t n = random() % 200; n > 0; --n)
        text += static_cast<char>(random() % 3 == 0 ? random() : random() % 96 + 32);
    } else {
      for (size_t n = random() % 30; n > 0; --n) text += words[random() % std::size(words)];
    }
    if (text.find("\xE2\x96\x81") != std::string::npos) continue;  // reads as a space in SentencePiece's spelling
    const Ids plain = tokenizer->encode(text);
    EXPECT_EQ(tokenizer->decode(plain), text);
    if (std::string_view(GetParam()) != "phi-3") {  // its special tokens eat spaces
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, SpecialTokens::parse), SpecialTokens::parse), text);
    }
    StreamDecoder stream(*tokenizer);
    std::string streamed;
    for (const TokenId id : plain) streamed += stream.push(id);
    streamed += stream.flush();
    EXPECT_EQ(streamed, replace_invalid_utf8(text));
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabulary, RoundTrip, testing::Values("gpt-2", "llama-bpe", "llama-spm", "phi-3"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace kinglet
