// WordPiece and unigram vocabularies from tokenizer.json to GGUF and back: the metadata that llama.cpp's converter writes,
// and the same ids all the way.
#include "convert/tokenizer_json.h"

#include <gtest/gtest.h>

#include "formats/hf_directory.h"
#include "host/file.h"
#include "host/testing.h"
#include "tokenizer/tokenizer.h"

namespace kinglet::convert {
namespace {

using Texts = std::vector<std::string>;

/// A directory of nothing but a tokenizer.
HfDirectory directory_of(std::string_view tokenizer, std::string_view config) {
  HfDirectory hf;
  hf.path = "made";
  hf.tokenizer = parse_json(tokenizer).value();
  hf.tokenizer_config = parse_json(config).value();
  return hf;
}

Tokenizer tokenizer_at(const std::string& path) { return Tokenizer::load(Checkpoint::open(path).value()).value(); }

/// Writes the tokenizer as a GGUF and as a directory made from that GGUF.
Status put_both(const TokenizerData& data, const TempFolder& folder) {
  gguf::Writer file(folder.file("t.gguf"));
  file.set("general.architecture", std::string("llama"));
  write_tokenizer(data, file);
  KL_TRY(file.begin());
  KL_TRY(file.finish().status());
  KL_ASSIGN(const Checkpoint opened, Checkpoint::open(folder.file("t.gguf")));
  KL_ASSIGN(TokenizerData again, tokenizer_from_gguf(*opened.gguf()));
  KL_ASSIGN(const std::vector<TextFile> files, tokenizer_to_hf(std::move(again)));
  KL_TRY(make_directories(folder.file("hf")));
  for (const TextFile& f : files) KL_TRY(write_file(join_path(folder.file("hf"), f.name), f.content));
  return ok_status();
}

void expect_alike(const Tokenizer& a, const Tokenizer& b, const Texts& texts) {
  for (const std::string& text : texts) {
    for (const SpecialTokens mode : {SpecialTokens::as_text, SpecialTokens::parse}) {
      EXPECT_EQ(a.encode(text, mode), b.encode(text, mode)) << text;
      EXPECT_EQ(a.decode(a.encode(text, mode)), b.decode(b.encode(text, mode))) << text;
    }
  }
  EXPECT_EQ(a.bos(), b.bos());
  EXPECT_EQ(a.eos(), b.eos());
  EXPECT_EQ(a.adds_bos(), b.adds_bos());
  EXPECT_EQ(a.adds_eos(), b.adds_eos());
}

constexpr std::string_view kWordPiece = R"({
  "added_tokens": [{"id": 0, "content": "[PAD]", "special": true}, {"id": 1, "content": "[UNK]", "special": true},
    {"id": 2, "content": "[CLS]", "special": true}, {"id": 3, "content": "[SEP]", "special": true},
    {"id": 4, "content": "[MASK]", "special": true}, {"id": 13, "content": "[new]", "special": false}],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}}],
    "pair": [{"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}},
             {"Sequence": {"id": "B"}}, {"SpecialToken": {"id": "[SEP]"}}]},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
    "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "the": 5, "cafe": 6, "##s": 7, "a": 8, "##b": 9,
              "!": 10, "#": 11, "北": 12}}})";
constexpr std::string_view kWordPieceConfig =
    R"({"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"})";

TEST(WordPieceJson, GoesToGgufAsLlamaCppWritesIt) {
  const auto data = tokenizer_from_hf(directory_of(kWordPiece, kWordPieceConfig), 15);
  ASSERT_TRUE(data.ok()) << data.status().text();
  EXPECT_EQ(data->model, "bert");
  EXPECT_EQ(data->tokens, (Texts{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁the", "▁cafe", "s", "▁a", "b", "▁!",
                                 "▁#", "▁北", "▁[new]", "▁[PAD14]"}));
  EXPECT_EQ(data->types, (std::vector<int32_t>{3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 4, 5}));
  EXPECT_TRUE(data->scores.empty());
  for (const auto& [role, id] : {std::pair("bos", 2u),
                                 {"cls", 2u},
                                 {"eos", 3u},
                                 {"seperator", 3u},
                                 {"unknown", 1u},
                                 {"padding", 0u},
                                 {"mask", 4u}})
    EXPECT_EQ(data->special(role), id) << role;
  EXPECT_EQ(data->add("bos"), true);
  EXPECT_EQ(data->add("eos"), true);
  EXPECT_EQ(data->add("sep"), false);  // the one between two texts is the first one's end
  EXPECT_EQ(data->token_type_count, 1u);
  EXPECT_EQ(data->lowercase, true);
  EXPECT_EQ(data->strip_accents, std::nullopt);
}

TEST(WordPieceJson, SpellsAlikeThereAndBack) {
  const Texts texts = {"The cafés", "CAFÉ!ab ##s", "abc", "a北ab", "x[new]ab", "[CLS] the [MASK]", "", "  the\n\t#b "};
  for (const bool lowercase : {true, false}) {
    HfDirectory cased = directory_of(kWordPiece, kWordPieceConfig);
    cased.tokenizer["normalizer"]["lowercase"] = lowercase;
    const auto data = tokenizer_from_hf(cased, 15);
    ASSERT_TRUE(data.ok()) << data.status().text();
    TempFolder folder;
    const Status put = put_both(*data, folder);
    ASSERT_TRUE(put.ok()) << put.text();
    const Tokenizer first = Tokenizer::from_tokenizer_json(cased.tokenizer, cased.tokenizer_config).value();
    expect_alike(first, tokenizer_at(folder.file("t.gguf")), texts);
    expect_alike(first, tokenizer_at(folder.file("hf")), texts);
    EXPECT_EQ(first.encode("the").size(), 1u);
    EXPECT_EQ(first.encode("The")[0] == 5, lowercase);
  }
}

TEST(WordPieceJson, RefusesWhatAGgufCannotSay) {
  HfDirectory hf = directory_of(kWordPiece, kWordPieceConfig);
  hf.tokenizer["normalizer"]["handle_chinese_chars"] = false;
  EXPECT_EQ(tokenizer_from_hf(hf, 15).status().code(), Code::unsupported);
  hf = directory_of(kWordPiece, kWordPieceConfig);
  hf.tokenizer["pre_tokenizer"] = {{"type", "Whitespace"}};
  EXPECT_EQ(tokenizer_from_hf(hf, 15).status().code(), Code::unsupported);
  hf = directory_of(kWordPiece, kWordPieceConfig);
  hf.tokenizer["model"]["continuing_subword_prefix"] = "@@";
  EXPECT_EQ(tokenizer_from_hf(hf, 15).status().code(), Code::unsupported);
  hf.tokenizer["model"].erase("continuing_subword_prefix");
  hf.tokenizer["added_tokens"][5]["id"] = (1 << 24) - 1;  // 16 million ids without a token
  EXPECT_EQ(tokenizer_from_hf(hf, 15).status().code(), Code::corrupt);
  hf.tokenizer["model"] = {{"type", "WordPiece"}};
  EXPECT_EQ(tokenizer_from_hf(hf, 15).status().code(), Code::corrupt);
}

constexpr std::string_view kUnigram = R"({
  "added_tokens": [{"id": 0, "content": "<pad>", "special": true}, {"id": 1, "content": "</s>", "special": true},
    {"id": 2, "content": "<unk>", "special": true}, {"id": 12, "content": "<extra>", "special": false}],
  "normalizer": null,
  "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
    "pair": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}, {"Sequence": {"id": "B"}}, {"SpecialToken": {"id": "</s>"}}]},
  "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": false,
    "vocab": [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁", -3.5], ["a", -2.25], ["b", -2.5], ["▁a", -1.5], ["ab", -2.0],
              ["▁the", -1.25], ["s", -4.0], ["▁a▁b", -9.5]]}})";
constexpr std::string_view kUnigramConfig = R"({"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"})";

TEST(UnigramJson, GoesToGgufAsLlamaCppWritesIt) {
  HfDirectory hf = directory_of(kUnigram, kUnigramConfig);
  hf.tokenizer["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "BAAAAAAEAAA="}};
  const auto data = tokenizer_from_hf(hf, 14);
  ASSERT_TRUE(data.ok()) << data.status().text();
  EXPECT_EQ(data->model, "t5");
  EXPECT_EQ(data->pre, "default");
  EXPECT_EQ(data->tokens, (Texts{"<pad>", "</s>", "<unk>", "▁", "a", "b", "▁a", "ab", "▁the", "s", "▁a▁b", "[PAD11]",
                                 "<extra>", "[PAD13]"}));
  EXPECT_EQ(data->types, (std::vector<int32_t>{3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 5, 4, 5}));
  EXPECT_EQ(data->scores,
            (std::vector<float>{0, 0, 0, -3.5f, -2.25f, -2.5f, -1.5f, -2, -1.25f, -4, -9.5f, -10000, -1000, -10000}));
  EXPECT_EQ(data->add_space_prefix, true);
  EXPECT_EQ(data->remove_extra_whitespaces, false);
  EXPECT_EQ(data->charsmap, std::string("\4\0\0\0\0\4\0\0", 8));
  EXPECT_EQ(data->special("eos"), 1u);
  EXPECT_EQ(data->special("unknown"), 2u);
  EXPECT_EQ(data->special("padding"), 0u);
  EXPECT_EQ(data->add("bos"), false);
  EXPECT_EQ(data->add("eos"), true);
}

TEST(UnigramJson, SpellsAlikeThereAndBack) {
  const Texts texts = {"the abs", "a b", "a   b  ", "xa<extra>b", "</s>the", "a\nb", "", "é ab", "<0x41>"};
  const Texts spaced = {" a", "  a   b  "};  // Metaspace adds no mark before a space, SentencePiece does
  for (const bool spaces : {false, true}) {
    for (const bool bytes : {false, true}) {
      HfDirectory hf = directory_of(kUnigram, kUnigramConfig);
      // Whole texts as one word, as a GGUF sees them: "▁a▁b" crosses words.
      hf.tokenizer["pre_tokenizer"]["split"] = false;
      if (spaces) {
        hf.tokenizer["normalizer"] = parse_json(R"({"type": "Sequence", "normalizers": [
          {"type": "Replace", "pattern": {"Regex": " +\\z"}, "content": ""},
          {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]})")
                                         .value();
      }
      hf.tokenizer["model"]["byte_fallback"] = bytes;
      for (int byte = 0; bytes && byte < 256; ++byte)
        hf.tokenizer["model"]["vocab"].push_back(Json::array({fmt::format("<0x{:02X}>", byte), 0.0}));
      if (bytes) hf.tokenizer["added_tokens"][3]["id"] = 300;
      const auto data = tokenizer_from_hf(hf, 301);
      ASSERT_TRUE(data.ok()) << data.status().text();
      EXPECT_EQ(data->remove_extra_whitespaces, spaces);
      TempFolder folder;
      const Status put = put_both(*data, folder);
      ASSERT_TRUE(put.ok()) << put.text();
      const Tokenizer first = Tokenizer::from_tokenizer_json(hf.tokenizer, hf.tokenizer_config).value();
      expect_alike(first, tokenizer_at(folder.file("t.gguf")), texts);
      if (spaces) expect_alike(first, tokenizer_at(folder.file("t.gguf")), spaced);
      for (const Texts* some : {&texts, &spaced}) expect_alike(first, tokenizer_at(folder.file("hf")), *some);
    }
  }
}

TEST(UnigramJson, RefusesWhatAGgufCannotSay) {
  for (const char* step : {R"({"type": "Lowercase"})", R"({"type": "Strip"})",
                           R"({"type": "Strip", "strip_left": false, "strip_right": true})",
                           R"({"type": "Replace", "pattern": {"String": "a"}, "content": "b"})"}) {
    HfDirectory hf = directory_of(kUnigram, kUnigramConfig);
    hf.tokenizer["normalizer"] = parse_json(step).value();
    EXPECT_EQ(tokenizer_from_hf(hf, 14).status().code(), Code::unsupported) << step;
  }
  HfDirectory hf = directory_of(kUnigram, kUnigramConfig);
  hf.tokenizer["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
  EXPECT_EQ(tokenizer_from_hf(hf, 14).status().code(), Code::unsupported);
  hf.tokenizer["pre_tokenizer"] = {{"type", "Digits"}};
  EXPECT_EQ(tokenizer_from_hf(hf, 14).status().code(), Code::unsupported);
  hf = directory_of(kUnigram, kUnigramConfig);
  hf.tokenizer["model"]["vocab"][3] = Json::array({"a"});
  EXPECT_EQ(tokenizer_from_hf(hf, 14).status().code(), Code::corrupt);
  hf.tokenizer["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "*"}};
  EXPECT_EQ(tokenizer_from_hf(hf, 14).status().code(), Code::corrupt);
}

TEST(TokenizerJson, ATokenizerWithoutTokensIsRefused) {
  for (const char* model : {"gpt2", "llama", "t5", "bert"}) {
    TokenizerData data;
    data.model = model;
    data.pre = "gpt-2";
    data.set_special("bos", 7);
    data.set_add("bos", true);
    EXPECT_EQ(tokenizer_to_hf(data).status().code(), Code::corrupt) << model;
  }
}

TEST(TokenizerJson, FixturesSpellAlikeThereAndBack) {
  const std::string vocab = std::string(KINGLET_SHARED_DIR) + "/fixtures/vocab/";
  if (!is_directory(vocab)) GTEST_SKIP() << "shared vocabularies are absent: " << vocab;
  for (const char* name : {"bert-bge", "nomic-bert-moe"}) {
    TempFolder folder;
    const Checkpoint source = Checkpoint::open(vocab + name + ".gguf").value();
    const auto read = tokenizer_from_gguf(*source.gguf());
    ASSERT_TRUE(read.ok()) << name << ": " << read.status().text();
    const Status put = put_both(*read, folder);
    ASSERT_TRUE(put.ok()) << name << ": " << put.text();
    expect_alike(Tokenizer::load(source).value(), tokenizer_at(folder.file("t.gguf")), {"Hello, world!", "<s>[CLS]"});
    expect_alike(Tokenizer::load(source).value(), tokenizer_at(folder.file("hf")),
                 {"Hello, world! It's 2026.", "  two  spaces\n\n\ttabs ", "naïve café 北京 🌱 1234567 x=y+z;",
                  "<s>[CLS] x</s>[SEP]"});
    const Checkpoint directory = Checkpoint::open(folder.file("hf")).value();
    const auto back = tokenizer_from_hf(*directory.hf(), static_cast<int64_t>(read->tokens.size()));
    ASSERT_TRUE(back.ok()) << name << ": " << back.status().text();
    EXPECT_EQ(read->model, back->model) << name;
    for (size_t i = 0; i < read->types.size(); ++i)
      EXPECT_EQ(read->types[i], back->types[i]) << name << ": " << i << " " << read->tokens[i];
    EXPECT_EQ(read->scores, back->scores) << name;
    EXPECT_EQ(read->charsmap, back->charsmap) << name;
  }
}

}  // namespace
}  // namespace kinglet::convert
