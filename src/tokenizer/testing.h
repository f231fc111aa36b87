// A vocabulary of single bytes, for tests. For x_test.cc files only.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "formats/json.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {

/// The vocabulary: 256 bytes, <|im_start|>, <|im_end|> (which ends an answer), and a chat template.
inline Result<Tokenizer> byte_tokenizer() {
  const std::string folder = KINGLET_TEST_DATA "/byte_tokenizer/";
  KL_ASSIGN(const Json tokenizer, read_json(folder + "tokenizer.json"));
  KL_ASSIGN(const Json config, read_json(folder + "tokenizer_config.json"));
  return Tokenizer::from_tokenizer_json(tokenizer, config);
}

class ByteTokenizerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto tokenizer = byte_tokenizer();
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
    tokenizer_.emplace(*std::move(tokenizer));
  }
  std::optional<Tokenizer> tokenizer_;
};

}  // namespace kinglet
