#include "formats/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <numeric>

#include "formats/hostile_testing.h"
#include "host/file.h"
#include "host/testing.h"

namespace kinglet::gguf {
namespace {

std::vector<float> ramp(size_t n) {
  std::vector<float> out(n);
  std::iota(out.begin(), out.end(), 0.5f);
  return out;
}

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}

/// A small file with every kind of value, as bytes.
std::string sample(const std::string& path) {
  Writer w(path);
  w.set("general.architecture", std::string("test"));
  w.set("u8", uint8_t{200});
  w.set("i8", int8_t{-3});
  w.set("u16", uint16_t{65535});
  w.set("i16", int16_t{-300});
  w.set("u32", uint32_t{4'000'000'000});
  w.set("i32", int32_t{-5});
  w.set("f32", 1.5f);
  w.set("yes", true);
  w.set("u64", std::numeric_limits<uint64_t>::max());
  w.set("i64", int64_t{-7});
  w.set("f64", 2.25);
  w.set("tokens", make_array(std::vector<std::string>{"a", "", "a longer token than fits in place"}));
  w.set("scores", make_array(std::vector<float>{1, 2, 3}));
  w.set("flags", make_array(std::vector<bool>{true, false}));
  w.set("empty", make_array(std::vector<int32_t>{}));
  w.set("nested",
        make_array(std::vector<Value>{make_array(std::vector<int32_t>{1, 2}), make_array(std::vector<float>{})}));
  EXPECT_TRUE(w.declare("a", DType::f32, {2, 3}).ok());
  EXPECT_TRUE(w.declare("q", DType::q8_0, {1, 64}).ok());
  EXPECT_TRUE(w.declare("b", DType::f32, {5}).ok());
  EXPECT_TRUE(w.begin().ok());
  const auto a = ramp(6), b = ramp(5);
  const std::vector<uint8_t> q(68, 7);
  EXPECT_TRUE(w.write_tensor(bytes_of(a).first(4)).ok());
  EXPECT_TRUE(w.write_tensor(bytes_of(a).subspan(4)).ok());
  EXPECT_TRUE(w.write_tensor(bytes_of(q)).ok());
  EXPECT_TRUE(w.write_tensor(bytes_of(b)).ok());
  EXPECT_TRUE(w.finish().ok());
  return read_file(path).value();
}

TEST(Gguf, ReadsWhatItWrote) {
  TempFolder folder;
  sample(folder.file("a.gguf"));
  auto opened = File::open(folder.file("a.gguf"));
  ASSERT_TRUE(opened.ok()) << opened.status().text();
  const File file = std::move(opened).value();
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.metadata().size(), 17u);
  EXPECT_EQ(file.get_string("general.architecture"), "test");
  EXPECT_EQ(file.get_int("u8"), 200);
  EXPECT_EQ(file.get_int("i8"), -3);
  EXPECT_EQ(file.get_int("u16"), 65535);
  EXPECT_EQ(file.get_int("i16"), -300);
  EXPECT_EQ(file.get_int("u32"), 4'000'000'000);
  EXPECT_EQ(file.get_int("i32"), -5);
  EXPECT_EQ(file.get_int("i64"), -7);
  EXPECT_EQ(file.get_int("u64"), std::nullopt);  // does not fit
  EXPECT_EQ(file.get_int("yes"), std::nullopt);
  EXPECT_EQ(file.get_int("absent"), std::nullopt);
  EXPECT_EQ(file.get_float("f32"), 1.5);
  EXPECT_EQ(file.get_float("f64"), 2.25);
  EXPECT_EQ(file.get_float("u8"), std::nullopt);
  EXPECT_EQ(file.get_bool("yes"), true);
  ASSERT_NE(file.get_items<std::string>("tokens"), nullptr);
  EXPECT_EQ((*file.get_items<std::string>("tokens"))[2], "a longer token than fits in place");
  EXPECT_EQ(file.get_items<float>("scores")->size(), 3u);
  EXPECT_EQ(file.get_items<float>("tokens"), nullptr);
  EXPECT_EQ((*file.get_items<bool>("flags"))[0], true);
  EXPECT_EQ(file.get_array("empty")->size(), 0u);
  EXPECT_EQ(file.get_array("nested")->size(), 2u);
}

TEST(Gguf, PlacesTensors) {
  TempFolder folder;
  const std::string bytes = sample(folder.file("a.gguf"));
  const File file = File::parse(std::as_bytes(std::span(bytes))).value();
  ASSERT_EQ(file.tensors().size(), 3u);
  const Tensor* a = file.find_tensor("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (Shape{2, 3}));
  const auto expected = ramp(6);
  EXPECT_EQ(std::memcmp(a->data.data(), expected.data(), a->data.size()), 0);
  EXPECT_EQ(file.find_tensor("q")->data.size(), 68u);
  EXPECT_EQ(file.find_tensor("q")->data[67], std::byte{7});
  EXPECT_EQ(file.find_tensor("c"), nullptr);
  EXPECT_EQ(file.file_bytes(), bytes.size());
  for (const Tensor& t : file.tensors()) {
    EXPECT_EQ((t.data.data() - reinterpret_cast<const std::byte*>(bytes.data())) % 32, 0) << t.name;
  }
}

TEST(Gguf, HonoursTheAlignmentKey) {
  TempFolder folder;
  Writer w(folder.file("a.gguf"));
  w.set("general.alignment", uint32_t{128});
  ASSERT_TRUE(w.declare("a", DType::f32, {1}).ok());
  ASSERT_TRUE(w.declare("b", DType::f32, {1}).ok());
  ASSERT_TRUE(w.begin().ok());
  ASSERT_TRUE(w.write_tensor(bytes_of(ramp(1))).ok());
  ASSERT_TRUE(w.write_tensor(bytes_of(ramp(1))).ok());
  ASSERT_TRUE(w.finish().ok());
  const File file = File::open(folder.file("a.gguf")).value();
  EXPECT_EQ(file.find_tensor("b")->data.data() - file.find_tensor("a")->data.data(), 128);
}

TEST(GgufWriter, RefusesWhatCannotBeWritten) {
  TempFolder folder;
  const std::string path = folder.file("a.gguf");
  Writer w(path);
  EXPECT_FALSE(w.declare("a", DType::q4_k, {2, 100}).ok());
  EXPECT_FALSE(w.declare("", DType::f32, {2}).ok());
  EXPECT_FALSE(w.declare("neg", DType::f32, {-1}).ok());
  EXPECT_FALSE(w.declare("big", DType::f32, {int64_t{1} << 62, 16}).ok());
  EXPECT_TRUE(w.declare("a", DType::f32, {2}).ok());
  EXPECT_FALSE(w.declare("a", DType::f32, {2}).ok());
  EXPECT_FALSE(w.write_tensor({}).ok());
  EXPECT_FALSE(w.finish().ok());
  ASSERT_TRUE(w.begin().ok());
  EXPECT_FALSE(w.write_tensor(bytes_of(ramp(3))).ok());
  EXPECT_FALSE(w.finish().ok());
  ASSERT_TRUE(w.write_tensor(bytes_of(ramp(2))).ok());
  EXPECT_FALSE(w.write_tensor(bytes_of(ramp(2))).ok());
  EXPECT_FALSE(is_file(path));
  EXPECT_TRUE(w.finish().ok());
  EXPECT_TRUE(is_file(path));

  Writer bad(folder.file("b.gguf"));
  bad.set("k", make_array(std::vector<Value>{uint8_t{1}}));
  EXPECT_FALSE(bad.begin().ok());
  Writer unaligned(folder.file("c.gguf"));
  unaligned.set("general.alignment", uint32_t{24});
  EXPECT_FALSE(unaligned.begin().ok());
  EXPECT_EQ(folder.entries(), 1);
}

TEST(GgufWriter, ReplacesAKeyInPlaceAndLeavesNothingUnfinished) {
  TempFolder folder;
  {
    Writer w(folder.file("a.gguf"));
    w.set("a", uint32_t{1});
    w.set("b", uint32_t{2});
    w.set("a", 3.0f);
    ASSERT_TRUE(w.begin().ok());
    ASSERT_TRUE(w.finish().ok());
    const File file = File::open(folder.file("a.gguf")).value();
    EXPECT_EQ(file.metadata()[0].key, "a");
    EXPECT_EQ(file.get_float("a"), 3.0);
    Writer unfinished(folder.file("b.gguf"));
    ASSERT_TRUE(unfinished.begin().ok());
    EXPECT_EQ(folder.entries(), 2);
  }
  EXPECT_EQ(folder.entries(), 1);
}

// -- split files --

void write_part(const std::string& path, int number, int count, int total, const std::vector<std::string>& tensors) {
  Writer w(path);
  w.set("split.no", static_cast<uint16_t>(number));
  w.set("split.count", static_cast<uint16_t>(count));
  w.set("split.tensors.count", total);
  for (const auto& t : tensors) ASSERT_TRUE(w.declare(t, DType::f32, {1}).ok());
  ASSERT_TRUE(w.begin().ok());
  for (size_t i = 0; i < tensors.size(); ++i) ASSERT_TRUE(w.write_tensor(bytes_of(ramp(1))).ok());
  ASSERT_TRUE(w.finish().ok());
}

TEST(GgufSplit, JoinsTheParts) {
  TempFolder folder;
  write_part(folder.file("m-00001-of-00002.gguf"), 0, 2, 3, {"a"});
  write_part(folder.file("m-00002-of-00002.gguf"), 1, 2, 3, {"b", "c"});
  const auto file = File::open(folder.file("m-00001-of-00002.gguf"));
  ASSERT_TRUE(file.ok()) << file.status().text();
  EXPECT_EQ(file->tensors().size(), 3u);
  EXPECT_NE(file->find_tensor("c"), nullptr);
  EXPECT_EQ(File::open(folder.file("m-00002-of-00002.gguf")).status().code(), Code::invalid_argument);
}

TEST(GgufSplit, WritesPartsThatItOpens) {
  TempFolder folder;
  Writer w(folder.file("m.gguf"));
  w.split_at(100);  // values of 60, 40, 120 and 4 bytes: the third is too large for any part, and gets one
  w.set("general.name", "split");
  const std::vector<int64_t> counts = {15, 10, 30, 1};
  for (size_t i = 0; i < counts.size(); ++i)
    ASSERT_TRUE(w.declare(std::string(1, static_cast<char>('a' + i)), DType::f32, {counts[i]}).ok());
  ASSERT_TRUE(w.begin().ok());
  for (const int64_t n : counts) {
    const auto values = ramp(n);
    const auto bytes = bytes_of(values);
    ASSERT_TRUE(w.write_tensor(bytes.first(4)).ok());
    ASSERT_TRUE(w.write_tensor(bytes.subspan(4)).ok());
  }
  const auto path = w.finish();
  ASSERT_TRUE(path.ok()) << path.status().text();
  EXPECT_EQ(*path, folder.file("m-00001-of-00003.gguf"));
  EXPECT_EQ(folder.entries(), 3);
  const auto file = File::open(*path);
  ASSERT_TRUE(file.ok()) << file.status().text();
  EXPECT_EQ(file->get_string("general.name"), "split");
  ASSERT_EQ(file->tensors().size(), 4u);
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto values = ramp(counts[i]);
    const auto& data = file->tensors()[i].data;
    const auto expected = bytes_of(values);
    EXPECT_TRUE(std::equal(data.begin(), data.end(), expected.begin(), expected.end())) << i;
  }
}

TEST(GgufSplit, RefusesPartsThatDoNotFit) {
  TempFolder folder;
  const auto first = folder.file("m-00001-of-00002.gguf"), second = folder.file("m-00002-of-00002.gguf");
  write_part(first, 0, 2, 3, {"a"});
  EXPECT_EQ(File::open(first).status().code(), Code::not_found);
  write_part(second, 1, 2, 3, {"b"});
  EXPECT_EQ(File::open(first).status().code(), Code::corrupt);  // a tensor is missing
  write_part(second, 1, 2, 3, {"a", "b"});
  EXPECT_EQ(File::open(first).status().code(), Code::corrupt);  // twice the same
  write_part(second, 0, 2, 3, {"b", "c"});
  EXPECT_EQ(File::open(first).status().code(), Code::corrupt);  // not part 2
  write_part(folder.file("other.gguf"), 0, 2, 3, {"a"});
  EXPECT_EQ(File::open(folder.file("other.gguf")).status().code(), Code::invalid_argument);
}

// -- hostile bytes --

/// Composes files that the Writer refuses to.
struct Raw {
  std::string out;
  template <typename T>
  Raw& n(T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  Raw& s(std::string_view text) {
    n<uint64_t>(text.size());
    out += text;
    return *this;
  }
  Raw& head(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    out += "GGUF";
    return n(version).n(tensors).n(keys);
  }
  Raw& tensor(std::string_view name, std::vector<uint64_t> dims, uint32_t type, uint64_t offset) {
    s(name).n(static_cast<uint32_t>(dims.size()));
    for (const uint64_t d : dims) n(d);
    return n(type).n(offset);
  }
  Raw& data(size_t bytes) {
    out.append((32 - out.size() % 32) % 32 + bytes, '\0');
    return *this;
  }
  Status parse() const { return File::parse(std::as_bytes(std::span(out))).status(); }
  Code code() const { return parse().code(); }
};

TEST(GgufHostile, Headers) {
  EXPECT_EQ(Raw{"GGUX"}.n(3).n<uint64_t>(0).n<uint64_t>(0).code(), Code::corrupt);
  EXPECT_EQ(Raw{}.head(0, 0, 2).code(), Code::ok);
  EXPECT_EQ(Raw{}.head(0, 0, 3).code(), Code::ok);
  EXPECT_EQ(Raw{}.head(0, 0, 1).code(), Code::unsupported);
  EXPECT_EQ(Raw{}.head(0, 0, 4).code(), Code::unsupported);
  const Status big = Raw{}.head(0, 0, 0x03000000).parse();
  EXPECT_EQ(big.code(), Code::unsupported);
  EXPECT_NE(big.text().find("big-endian"), std::string_view::npos);
  EXPECT_EQ(Raw{}.head(UINT64_MAX, 0).code(), Code::corrupt);
  EXPECT_EQ(Raw{}.head(0, UINT64_MAX).code(), Code::corrupt);
  EXPECT_EQ(Raw{}.head(kMaxTensors, 0).code(), Code::corrupt);
  EXPECT_EQ(Raw{}.head(0, kMaxKeys).code(), Code::corrupt);
}

TEST(GgufHostile, Metadata) {
  EXPECT_EQ(Raw{}.head(0, 1).s("k").n(8u).n(UINT64_MAX).code(), Code::corrupt);  // string length
  EXPECT_EQ(Raw{}.head(0, 1).n(UINT64_MAX).code(), Code::corrupt);               // key length
  EXPECT_EQ(Raw{}.head(0, 1).s("").n(0u).n(uint8_t{1}).code(), Code::corrupt);   // empty key
  EXPECT_EQ(Raw{}.head(0, 1).s(std::string(70000, 'k')).n(0u).n(uint8_t{1}).code(), Code::corrupt);
  EXPECT_EQ(Raw{}.head(0, 1).s("k").n(13u).n<uint64_t>(0).code(), Code::corrupt);  // unknown type
  EXPECT_EQ(Raw{}.head(0, 1).s("k").n(7u).n(uint8_t{2}).code(), Code::corrupt);    // truth value
  EXPECT_EQ(Raw{}.head(0, 1).s("k").n(9u).n(7u).n<uint64_t>(1).n(uint8_t{2}).code(), Code::corrupt);
  EXPECT_EQ(Raw{}.head(0, 1).s("k").n(9u).n(99u).n<uint64_t>(1).n<uint64_t>(0).code(), Code::corrupt);
  for (const uint32_t type : {0u, 4u, 7u, 8u, 9u, 12u}) {  // lengths that overflow or pass the end
    for (const uint64_t count : {UINT64_MAX, UINT64_MAX / 8, uint64_t{1} << 61, uint64_t{1000}}) {
      EXPECT_EQ(Raw{}.head(0, 1).s("k").n(9u).n(type).n(count).n<uint64_t>(0).code(), Code::corrupt);
    }
  }
  EXPECT_EQ(Raw{}.head(0, 2).s("k").n(0u).n(uint8_t{1}).s("k").n(0u).n(uint8_t{1}).code(), Code::corrupt);
  EXPECT_EQ(Raw{}.head(0, 1).s("split.count").n(4u).n(5u).code(), Code::invalid_argument);
}

TEST(GgufHostile, NestedArrays) {
  const auto nested = [](int depth) {
    Raw raw;
    raw.head(0, 1).s("k").n(9u);
    for (int i = 1; i < depth; ++i) raw.n(9u).n<uint64_t>(1);
    raw.n(0u).n<uint64_t>(0);
    return raw;
  };
  EXPECT_EQ(nested(1).code(), Code::ok);
  EXPECT_EQ(nested(kMaxArrayDepth).code(), Code::ok);
  EXPECT_EQ(nested(kMaxArrayDepth + 1).code(), Code::corrupt);
  EXPECT_EQ(nested(100'000).code(), Code::corrupt);
}

TEST(GgufHostile, TensorShapesAndTypes) {
  const auto one = [](std::vector<uint64_t> dims, uint32_t type, uint64_t offset, size_t data) {
    return Raw{}.head(1, 0).tensor("t", std::move(dims), type, offset).data(data).parse();
  };
  EXPECT_TRUE(one({4}, 0, 0, 16).ok());
  EXPECT_TRUE(one({}, 0, 0, 4).ok());
  EXPECT_TRUE(one({256, 2}, 12, 0, 288).ok());
  EXPECT_EQ(one({4}, 0, 0, 15).code(), Code::corrupt);
  EXPECT_EQ(one({4}, 0, 1, 64).code(), Code::corrupt);                // unaligned
  EXPECT_EQ(one({4}, 0, 64, 64).code(), Code::corrupt);               // outside
  EXPECT_EQ(one({4}, 0, UINT64_MAX - 31, 64).code(), Code::corrupt);  // offset + size overflows
  EXPECT_EQ(one({0}, 0, 0, 64).code(), Code::corrupt);
  EXPECT_EQ(one({UINT64_MAX}, 0, 0, 64).code(), Code::corrupt);
  EXPECT_EQ(one({1ull << 32, 1ull << 32}, 0, 0, 64).code(), Code::corrupt);     // product overflows
  EXPECT_EQ(one({1ull << 31, 1ull << 31, 4}, 0, 0, 64).code(), Code::corrupt);  // product times 4 overflows
  EXPECT_EQ(one({1ull << 62}, 0, 0, 64).code(), Code::corrupt);
  EXPECT_EQ(one({1, 1, 1, 1, 1}, 0, 0, 64).code(), Code::corrupt);  // rank 5
  EXPECT_EQ(one({100}, 12, 0, 144).code(), Code::corrupt);          // no whole block
  const Status unknown = one({256}, 16, 0, 4096);
  EXPECT_EQ(unknown.code(), Code::unsupported);
  EXPECT_NE(unknown.text().find("IQ2_XXS"), std::string_view::npos);
  EXPECT_EQ(one({256}, 0xffffffff, 0, 4096).code(), Code::unsupported);
}

TEST(GgufHostile, TensorNamesAndPlaces) {
  const auto two = [](std::string_view a, std::string_view b, uint64_t offset) {
    return Raw{}.head(2, 0).tensor(a, {16}, 0, 0).tensor(b, {16}, 0, offset).data(128).code();
  };
  EXPECT_EQ(two("a", "b", 64), Code::ok);
  EXPECT_EQ(two("a", "b", 32), Code::corrupt);
  EXPECT_EQ(two("a", "b", 0), Code::corrupt);
  EXPECT_EQ(two("a", "a", 64), Code::corrupt);
  EXPECT_EQ(two("", "a", 64), Code::corrupt);
  EXPECT_EQ(two(std::string(kMaxTensorNameBytes + 1, 'n'), "a", 64), Code::corrupt);
}

TEST(GgufHostile, Alignment) {
  const auto with = [](uint32_t type, auto value) {
    return Raw{}.head(1, 1).s("general.alignment").n(type).n(value).tensor("t", {4}, 0, 0).data(256).code();
  };
  EXPECT_EQ(with(4, uint32_t{32}), Code::ok);
  EXPECT_EQ(with(4, uint32_t{0}), Code::corrupt);
  EXPECT_EQ(with(4, uint32_t{48}), Code::corrupt);
  EXPECT_EQ(with(4, uint32_t{1} << 31), Code::corrupt);
  EXPECT_EQ(with(10, uint64_t{32}), Code::corrupt);
}

TEST(GgufHostile, EveryTruncationIsAnError) {
  TempFolder folder;
  const std::string bytes = sample(folder.file("a.gguf"));
  // The padding behind the last tensor carries nothing: a file may end without it.
  const size_t end = bytes.size() - (32 - 20);
  for_each_truncation(bytes, [&](std::span<const std::byte> part) {
    EXPECT_EQ(File::parse(part).ok(), part.size() >= end) << part.size();
  });
}

TEST(GgufHostile, BitFlipsNeverLeaveTheFile) {
  TempFolder folder;
  const std::string bytes = sample(folder.file("a.gguf"));
  int refused = 0;
  for_each_flip(bytes, 20'000, [&](std::span<const std::byte> flipped) {
    const auto file = File::parse(flipped);
    if (!file.ok()) {
      ++refused;
      EXPECT_FALSE(file.status().text().empty());
      return;
    }
    touch_all(file->tensors());
  });
  EXPECT_GT(refused, 1000);
}

TEST(GgufReal, OpensSharedVocabularies) {
  const std::string folder = std::string(KINGLET_SHARED_DIR) + "/fixtures/vocab";
  if (!is_directory(folder)) GTEST_SKIP() << "shared vocabularies are absent: " << folder;
  for (const char* name : {"llama-bpe", "phi-3", "gpt-2", "bert-bge", "llama-spm", "nomic-bert-moe"}) {
    const auto file = File::open(folder + "/" + name + ".gguf");
    ASSERT_TRUE(file.ok()) << file.status().text();
    ASSERT_NE(file->get_items<std::string>("tokenizer.ggml.tokens"), nullptr) << name;
    EXPECT_GT(file->get_items<std::string>("tokenizer.ggml.tokens")->size(), 30'000u) << name;
  }
}

}  // namespace
}  // namespace kinglet::gguf
