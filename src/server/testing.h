// What tests on the families of chat models share. For x_test.cc files only.
#pragma once

#include <algorithm>

#include "server/chat_family.h"

namespace kinglet::server {

/// The family of that name, which there must be.
inline const ChatFamily& family_named(std::string_view name) {
  return *std::ranges::find_if(chat_families(), [&](const ChatFamily& f) { return f.name == name; });
}

}  // namespace kinglet::server
