#include "server/embedding_request.h"

#include <gtest/gtest.h>

namespace kinglet::server {
namespace {

size_t inputs(const Json& input) {
  const auto parsed = parse_embedding_request({{"input", input}});
  return std::holds_alternative<EmbeddingRequest>(parsed) ? std::get<EmbeddingRequest>(parsed).inputs.size() : 0;
}

TEST(EmbeddingRequestTest, InputsAreTextsOrTokens) {
  EXPECT_EQ(inputs("a"), 1u);
  EXPECT_EQ(inputs({"a", "b"}), 2u);
  EXPECT_EQ(inputs({1, 2, 3}), 1u);
  EXPECT_EQ(inputs(Json::parse("[[1, 2], [3]]")), 2u);
  for (const char* wrong : {"[]", "\"\"", "[\"\"]", "3", "[1, \"a\"]", "[-1]", "[[]]", "{}", "[1.5]"})
    EXPECT_EQ(inputs(Json::parse(wrong)), 0u) << wrong;
}

TEST(EmbeddingRequestTest, Base64IsOfLittleEndianFloats) {
  EXPECT_EQ(base64_of({}), "");
  EXPECT_EQ(base64_of(std::vector<float>{1.0f}), "AACAPw==");
  EXPECT_EQ(base64_of(std::vector<float>{1.0f, -2.0f}), "AACAPwAAAMA=");
  EXPECT_EQ(base64_of(std::vector<float>{0.0f, 1.0f, 2.0f}), "AAAAAAAAgD8AAABA");
}

}  // namespace
}  // namespace kinglet::server
