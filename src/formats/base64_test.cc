#include "formats/base64.h"

#include <gtest/gtest.h>

namespace kinglet {
namespace {

TEST(Base64, VectorsOfTheRfc) {
  const std::pair<std::string_view, std::string_view> kVectors[] = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"},
                                                                    {"\xFF\xEF\xBE", "/+++"}};
  for (const auto& [bytes, text] : kVectors) {
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(decode_base64(text), bytes);
  }
}

TEST(Base64, LineBreaksAreSkippedAndOtherCharactersRefused) {
  EXPECT_EQ(decode_base64("Zm9v\r\nYg==\n"), "foob");
  EXPECT_EQ(decode_base64("Zm9*"), std::nullopt);
  EXPECT_EQ(decode_base64(" "), std::nullopt);
}

}  // namespace
}  // namespace kinglet
