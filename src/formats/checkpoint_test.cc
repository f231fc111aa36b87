#include "formats/checkpoint.h"

#include <gtest/gtest.h>

#include "formats/hf_directory.h"
#include "host/file.h"
#include "host/testing.h"

namespace kinglet {
namespace {

void put(const TempFolder& folder, const std::string& name, std::string_view text) {
  ASSERT_TRUE(write_file(folder.file(name), text).ok());
}

void put_weights(const std::string& path) {
  const float value = 1.5f;
  const safetensors::OutTensor tensors[] = {{"w", DType::f32, {1}, std::as_bytes(std::span(&value, 1))}};
  ASSERT_TRUE(safetensors::write(path, tensors).ok());
}

TEST(Checkpoint, OpensAFolder) {
  TempFolder folder;
  put(folder, "config.json", R"({"model_type": "llama"})");
  put_weights(folder.file("model.safetensors"));
  put(folder, "tokenizer_config.json",
      R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})");
  auto c = Checkpoint::open(folder.path());
  ASSERT_TRUE(c.ok()) << c.status().text();
  EXPECT_EQ(c->kind(), Checkpoint::Kind::hugging_face);
  EXPECT_EQ(c->gguf(), nullptr);
  EXPECT_EQ(c->hf()->config["model_type"], "llama");
  EXPECT_EQ(c->hf()->chat_template, "d");
  EXPECT_TRUE(c->hf()->tokenizer.is_null());
  EXPECT_TRUE(c->find_tensor("w").has_value());
  EXPECT_FALSE(c->find_tensor("x").has_value());
  EXPECT_GT(c->weight_bytes(), 0u);
  put(folder, "chat_template.jinja", "j");
  EXPECT_EQ(Checkpoint::open(folder.file("model.safetensors")).value().hf()->chat_template, "j");
}

TEST(Checkpoint, AllowsAFolderWithoutWeights) {
  TempFolder folder;
  EXPECT_EQ(Checkpoint::open(folder.path()).status().code(), Code::not_found);
  put(folder, "tokenizer.json", "{}");
  const auto c = Checkpoint::open(folder.path());
  ASSERT_TRUE(c.ok());
  EXPECT_FALSE(c->find_tensor("w").has_value());
  EXPECT_EQ(c->weight_bytes(), 0u);
  put(folder, "config.json", "[]");
  EXPECT_EQ(Checkpoint::open(folder.path()).status().code(), Code::corrupt);
}

TEST(Checkpoint, OpensAGgufFile) {
  TempFolder folder;
  gguf::Writer w(folder.file("m.gguf"));
  ASSERT_TRUE(w.declare("t", DType::f32, {1}).ok());
  ASSERT_TRUE(w.begin().ok());
  const float value = 1;
  ASSERT_TRUE(w.write_tensor(std::as_bytes(std::span(&value, 1))).ok());
  ASSERT_TRUE(w.finish().ok());
  const auto c = Checkpoint::open(folder.file("m.gguf"));
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->kind(), Checkpoint::Kind::gguf);
  EXPECT_EQ(c->hf(), nullptr);
  EXPECT_TRUE(c->find_tensor("t").has_value());
  EXPECT_EQ(Checkpoint::open(folder.file("absent.gguf")).status().code(), Code::not_found);
}

TEST(CheckpointReal, OpensTheFixtures) {
  const std::string folder = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/llama-3.2";
  if (!is_directory(folder)) GTEST_SKIP() << "shared fixtures are absent: " << folder;
  const auto c = Checkpoint::open(folder);
  ASSERT_TRUE(c.ok()) << c.status().text();
  EXPECT_TRUE(c->find_tensor("model.embed_tokens.weight").has_value());
}

}  // namespace
}  // namespace kinglet
