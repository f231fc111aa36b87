#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "formats/hostile_testing.h"
#include "host/file.h"
#include "host/testing.h"

namespace kinglet::safetensors {
namespace {

std::span<const std::byte> bytes_of(const std::vector<float>& v) { return std::as_bytes(std::span(v)); }

const std::vector<float> kA = {1, 2, 3, 4, 5, 6};
const std::vector<float> kB = {7};

std::string sample(const std::string& path) {
  const std::vector<uint16_t> half = {1, 2, 3};
  const OutTensor tensors[] = {{"h", DType::f16, {3}, std::as_bytes(std::span(half))},
                               {"a", DType::f32, {2, 3}, bytes_of(kA)},
                               {"none", DType::f32, {0, 4}, {}},
                               {"scalar", DType::f32, {}, bytes_of(kB)}};
  EXPECT_TRUE(write(path, tensors, {{"format", "pt"}}).ok());
  return read_file(path).value();
}

std::string file_of(std::string_view header, size_t data) {
  const uint64_t n = header.size();
  std::string out(reinterpret_cast<const char*>(&n), 8);
  out += header;
  out.append(data, '\1');
  return out;
}

Status parse(std::string_view header, size_t data) {
  Status out;
  with_exact_copy(file_of(header, data), [&](auto bytes) { out = File::parse(bytes).status(); });
  return out;
}

TEST(Safetensors, ReadsWhatItWrote) {
  TempFolder folder;
  const std::string bytes = sample(folder.file("a.safetensors"));
  EXPECT_EQ(bytes.size() % 2, 0u);
  const auto file = File::open(folder.file("a.safetensors"));
  ASSERT_TRUE(file.ok()) << file.status().text();
  EXPECT_EQ(file->tensors().size(), 4u);
  const Tensor* a = file->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (Shape{2, 3}));
  EXPECT_EQ(a->dtype, DType::f32);
  EXPECT_EQ(std::memcmp(a->data.data(), kA.data(), a->data.size()), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a->data.data()) % 8, 0u);
  EXPECT_EQ(file->find("scalar")->shape.rank, 0);
  EXPECT_TRUE(file->find("none")->data.empty());
  EXPECT_EQ(file->find("h")->data.size(), 6u);
  EXPECT_EQ(file->find("absent"), nullptr);
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_EQ(file->file_bytes(), bytes.size());
}

TEST(SafetensorsWriter, RefusesWhatCannotBeWritten) {
  TempFolder folder;
  Writer w(folder.file("a.safetensors"));
  EXPECT_EQ(w.declare("q", DType::q4_k, {256}).code(), Code::unsupported);
  EXPECT_FALSE(w.declare("__metadata__", DType::f32, {1}).ok());
  EXPECT_FALSE(w.declare("big", DType::f32, {int64_t{1} << 62, 16}).ok());
  EXPECT_TRUE(w.declare("a", DType::f32, {6}).ok());
  EXPECT_FALSE(w.declare("a", DType::f32, {6}).ok());
  EXPECT_FALSE(w.write_tensor(bytes_of(kA)).ok());
  ASSERT_TRUE(w.begin().ok());
  EXPECT_FALSE(w.finish().ok());
  EXPECT_TRUE(w.write_tensor(bytes_of(kA).first(8)).ok());
  EXPECT_FALSE(w.write_tensor(bytes_of(kA)).ok());
  EXPECT_TRUE(w.write_tensor(bytes_of(kA).subspan(8)).ok());
  EXPECT_FALSE(w.write_tensor(bytes_of(kB)).ok());
  EXPECT_FALSE(is_file(folder.file("a.safetensors")));
  EXPECT_TRUE(w.finish().ok());
  EXPECT_EQ(folder.entries(), 1);
  const OutTensor wrong[] = {{"x", DType::f32, {5}, bytes_of(kA)}};
  EXPECT_EQ(write(folder.file("b.safetensors"), wrong).code(), Code::invalid_argument);
}

TEST(SafetensorsShards, JoinsThem) {
  TempFolder folder;
  const OutTensor one[] = {{"a", DType::f32, {6}, bytes_of(kA)}}, two[] = {{"b", DType::f32, {1}, bytes_of(kB)}};
  ASSERT_TRUE(write(folder.file("m-1.safetensors"), one).ok());
  ASSERT_TRUE(write(folder.file("m-2.safetensors"), two).ok());
  const auto index = [&](std::string_view map) {
    EXPECT_TRUE(write_file(folder.file("model.safetensors.index.json"), map).ok());
    return File::open(folder.path());
  };
  const auto file = index(R"({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}})");
  ASSERT_TRUE(file.ok()) << file.status().text();
  EXPECT_NE(file->find("a"), nullptr);
  EXPECT_NE(file->find("b"), nullptr);

  EXPECT_EQ(index(R"({"weight_map": {"a": "m-1.safetensors", "c": "m-2.safetensors"}})").status().code(),
            Code::corrupt);
  EXPECT_EQ(index(R"({"weight_map": {"a": "m-3.safetensors"}})").status().code(), Code::not_found);
  EXPECT_EQ(index(R"({"weight_map": {"a": "../m-1.safetensors"}})").status().code(), Code::corrupt);
  EXPECT_EQ(index(R"({"weight_map": {"a": "/etc/passwd"}})").status().code(), Code::corrupt);
  EXPECT_EQ(index(R"({"weight_map": {"a": 1}})").status().code(), Code::corrupt);
  EXPECT_EQ(index(R"({"weight_map": []})").status().code(), Code::corrupt);
  EXPECT_EQ(index("[]").status().code(), Code::corrupt);
  ASSERT_TRUE(write(folder.file("m-2.safetensors"), one).ok());
  EXPECT_EQ(index(R"({"weight_map": {"a": "m-1.safetensors", "x": "m-2.safetensors"}})").status().code(),
            Code::corrupt);
}

TEST(SafetensorsHostile, Headers) {
  EXPECT_TRUE(parse("{}", 0).ok());
  EXPECT_FALSE(parse("[]", 0).ok());
  EXPECT_FALSE(parse("", 0).ok());
  EXPECT_FALSE(parse(R"({"__metadata__": {"a": 1}})", 0).ok());
  EXPECT_FALSE(parse(R"({"__metadata__": []})", 0).ok());
  EXPECT_FALSE(parse(std::string(1000, '['), 0).ok());
  for (const uint64_t n : {uint64_t{3}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
    std::string out(reinterpret_cast<const char*>(&n), 8);
    out += "{}";
    with_exact_copy(out, [](auto bytes) { EXPECT_EQ(File::parse(bytes).status().code(), Code::corrupt); });
  }
}

TEST(SafetensorsHostile, Tensors) {
  const auto one = [](std::string_view entry, size_t data = 16) {
    return parse("{\"t\": " + std::string(entry) + "}", data).code();
  };
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})"), Code::ok);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})", 15), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,12]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[16,0]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[16,32]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[18446744073709551600,18446744073709551615]})"),
            Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16,32]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16.0]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[-4],"data_offsets":[0,16]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":["4"],"data_offsets":[0,16]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":4,"data_offsets":[0,16]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,16]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[1,1,1,1,4],"data_offsets":[0,16]})"), Code::unsupported);
  EXPECT_EQ(one(R"({"dtype":"F8_E4M3","shape":[16],"data_offsets":[0,16]})"), Code::unsupported);
  EXPECT_EQ(one(R"({"dtype":3,"shape":[4],"data_offsets":[0,16]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"shape":[4],"data_offsets":[0,16]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","data_offsets":[0,16]})"), Code::corrupt);
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4]})"), Code::corrupt);
  EXPECT_EQ(one("[]"), Code::corrupt);
  EXPECT_EQ(one("null"), Code::corrupt);
  EXPECT_EQ(
      parse(
          R"({"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"I8","shape":[4],"data_offsets":[3,7]}})",
          8)
          .code(),
      Code::corrupt);
}

TEST(SafetensorsHostile, EveryTruncationIsAnError) {
  TempFolder folder;
  for_each_truncation(sample(folder.file("a.safetensors")),
                      [](auto bytes) { EXPECT_FALSE(File::parse(bytes).ok()) << bytes.size(); });
}

TEST(SafetensorsHostile, BitFlipsNeverLeaveTheFile) {
  TempFolder folder;
  int refused = 0;
  for_each_flip(sample(folder.file("a.safetensors")), 20'000, [&](std::span<const std::byte> bytes) {
    const auto file = File::parse(bytes);
    if (file.ok()) {
      touch_all(file->tensors());
    } else {
      ++refused;
      EXPECT_FALSE(file.status().text().empty());
    }
  });
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace kinglet::safetensors
