#include "hub/embedded_model.h"

#include <gtest/gtest.h>

#include "host/testing.h"
#include "hub/digest.h"
#include "hub/registry.h"

namespace kinglet::hub {
namespace {

TEST(EmbeddedModel, IsTheFileThatTheRegistryDescribes) {
  const auto registry = Registry::load();
  ASSERT_TRUE(registry.ok()) << registry.status().text();
  int embedded = 0;
  for (const Model& model : registry->models()) {
    for (const Source& source : model.sources) {
      if (!source.is_embedded()) continue;
      ++embedded;
      const TempFolder folder;
      const std::string path = folder.file(model.file);
      ASSERT_TRUE(write_embedded_model(source.embedded, path).ok());
      EXPECT_EQ(sha256_file(path, {}).value(), model.sha256);
      EXPECT_EQ(embedded_model(source.embedded)->size(), model.size);
      EXPECT_LE(model.size, 8'000'000u);
    }
  }
  EXPECT_EQ(embedded, 1);
}

TEST(EmbeddedModel, RefusesANameItDoesNotHave) {
  EXPECT_EQ(embedded_model("books-7b").status().code(), Code::not_found);
}

}  // namespace
}  // namespace kinglet::hub
