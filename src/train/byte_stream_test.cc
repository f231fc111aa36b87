// Files unpacked on the way, and lines with their numbers.
#include "train/byte_stream.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "host/testing.h"
#include "train/data_lines.h"

namespace kinglet::train {
namespace {

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string long_text() {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "line " + std::to_string(i * 7919 % 100'003) + "\n";
  return text;
}

class Packed : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) {
    EXPECT_TRUE(write_file(folder_.file(name), bytes).ok());
    return folder_.file(name);
  }
  TempFolder folder_;
};

TEST_F(Packed, GzipAndZstdAreUnpackedByTheirName) {
  const std::string text = long_text();
  for (const auto& [name, bytes] : {std::pair{"t.txt", text}, {"t.txt.gz", gzip(text)}, {"t.txt.zst", zstd(text)}}) {
    const auto read = read_text(write(name, bytes));
    ASSERT_TRUE(read.ok()) << read.status().text();
    EXPECT_EQ(*read, text) << name;
  }
}

TEST_F(Packed, MembersFollowEachOther) {
  EXPECT_EQ(*read_text(write("t.gz", gzip("one ") + gzip("") + gzip("two"))), "one two");
  EXPECT_EQ(*read_text(write("t.zst", zstd("one ") + zstd("") + zstd("two"))), "one two");
}

TEST_F(Packed, DamageAndCutsAreErrorsWithThePath) {
  const std::string text = long_text();
  for (const auto& [name, whole] : {std::pair{"t.gz", gzip(text)}, {"t.zst", zstd(text)}}) {
    for (const size_t size : {size_t{0}, size_t{3}, size_t{40}, whole.size() / 2, whole.size() - 1}) {
      const auto cut = read_text(write(name, whole.substr(0, size)));
      ASSERT_FALSE(cut.ok()) << name << " of " << size;
      EXPECT_EQ(cut.status().code(), Code::corrupt);
      EXPECT_NE(cut.status().text().find(name), std::string_view::npos) << cut.status().text();
    }
    EXPECT_FALSE(read_text(write(name, "not packed at all, whatever the name says")).ok());
    EXPECT_FALSE(read_text(write(name, whole + "garbage")).ok());
  }
}

TEST_F(Packed, ATextBeyondTheLimitIsRefusedWhileItUnpacks) {
  const auto bomb = read_text(write("t.gz", gzip(std::string(8 << 20, 'a'))), 1 << 20);
  EXPECT_EQ(bomb.status().code(), Code::out_of_range) << bomb.status().text();
}

TEST_F(Packed, LinesEndAsTheyDoOnAnySystem) {
  auto stream = ByteStream::open(write("t", "\xEF\xBB\xBFone\r\ntwo\n\nfour"));
  ASSERT_TRUE(stream.ok());
  LineReader reader(*std::move(stream));
  std::string line;
  for (const char* expected : {"one", "two", "", "four"}) {
    ASSERT_TRUE(*reader.next(line));
    EXPECT_EQ(line, expected);
  }
  EXPECT_EQ(reader.number(), 4);
  EXPECT_FALSE(*reader.next(line));
}

TEST_F(Packed, ManyLinesAreAllThere) {
  auto stream = ByteStream::open(write("t.gz", gzip(long_text())));
  LineReader reader(*std::move(stream));
  std::string line, joined;
  while (*reader.next(line)) joined += line + "\n";
  EXPECT_EQ(joined, long_text());
  EXPECT_EQ(reader.number(), 100'000);
}

}  // namespace
}  // namespace kinglet::train
