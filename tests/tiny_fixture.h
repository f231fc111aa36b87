// A tiny model with a vocabulary of single bytes, in a folder of the test's own. For tests only.
#pragma once

#include <filesystem>
#include <string>

namespace kinglet {

/// The model without a vocabulary; tests skip by name where it is absent.
inline const std::string kFixture = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/qwen2.5";

/// Makes `folder`: the fixture with the vocabulary of bytes.
inline void write_fixture_with_bytes(const std::string& folder) {
  namespace fs = std::filesystem;
  fs::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"})
    fs::copy(fs::path(kFixture) / name, fs::path(folder) / name);
  fs::copy(KINGLET_TEST_DATA "/byte_tokenizer", folder);
}

}  // namespace kinglet
