// What tests of the interfaces share. For x_test.cc files only.
#pragma once

#include <string>

/// A tiny model without a vocabulary; tests skip by name where the shared fixtures are absent.
inline const std::string kFixture = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/qwen2.5";
