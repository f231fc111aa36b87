#include "hub/zip.h"

#include <gtest/gtest.h>

#include <cstring>

namespace kinglet::hub {
namespace {

/// One stored entry "a/b.txt" that holds "hello".
std::string archive() {
  const auto le = [](uint32_t value, int size) {
    std::string out;
    for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  const std::string name = "a/b.txt", data = "hello";
  const uint32_t crc = 0x3610a686;
  const std::string common =
      le(20, 2) + le(0, 2) + le(0, 2) + le(0, 4) + le(crc, 4) + le(5, 4) + le(5, 4) + le(7, 2) + le(0, 2);
  const std::string local = le(0x04034b50, 4) + common + name + data;
  const std::string central =
      le(0x02014b50, 4) + le(20, 2) + common + le(0, 2) + le(0, 2) + le(0, 2) + le(0, 4) + le(0, 4) + name;
  const std::string end = le(0x06054b50, 4) + le(0, 4) + le(1, 2) + le(1, 2) +
                          le(static_cast<uint32_t>(central.size()), 4) + le(static_cast<uint32_t>(local.size()), 4) +
                          le(0, 2);
  return local + central + end;
}

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

Result<std::string> extract(const std::string& text) {
  KL_ASSIGN(const std::vector<ZipEntry> entries, zip_entries(bytes(text)));
  std::string out;
  for (const ZipEntry& entry : entries) {
    KL_TRY(zip_extract(bytes(text), entry, [&](std::span<const std::byte> piece) {
      out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      return ok_status();
    }));
  }
  return out;
}

TEST(Zip, ReadsAStoredEntry) {
  const auto text = extract(archive());
  ASSERT_TRUE(text.ok()) << text.status().text();
  EXPECT_EQ(*text, "hello");
}

TEST(Zip, SurvivesEveryTruncationAndEveryFlippedByte) {
  const std::string whole = archive();
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(extract(whole.substr(0, size)).ok()) << size;
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      const auto text = extract(damaged);
      EXPECT_TRUE(!text.ok() || *text == "hello" || text->empty()) << i;
    }
  }
}

TEST(Zip, MatchesPatternsWithinOneFolder) {
  EXPECT_TRUE(matches_pattern("*/data/part*.bin", "pkg/data/part01.bin"));
  EXPECT_TRUE(matches_pattern("*/data/*.gguf.part*", "pkg/data/m.gguf.part-aa"));
  EXPECT_FALSE(matches_pattern("*/data/part*.bin", "pkg/sub/data/part01.bin"));
  EXPECT_FALSE(matches_pattern("*/data/part*.bin", "pkg/data/sub/part01.bin"));
  EXPECT_FALSE(matches_pattern("*/data/part*.bin", "pkg/data/part01.txt"));
  EXPECT_TRUE(matches_pattern("*", "a"));
  EXPECT_FALSE(matches_pattern("*", "a/b"));
}

}  // namespace
}  // namespace kinglet::hub
