// What tests of the word models share. For x_test.cc files only.
#pragma once

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "tokenizer/model.h"

namespace kinglet {

/// The ids of `text` as one word. It is encoded twice: a cached word must be the same.
inline std::vector<TokenId> ids_of(const WordModel& model, std::string_view text) {
  EncodeScratch scratch;
  std::vector<TokenId> ids, again;
  if (text.empty()) return ids;
  model.encode(text, scratch, ids);
  model.encode(text, scratch, again);
  EXPECT_EQ(ids, again) << "a cached word is another";
  return ids;
}

}  // namespace kinglet
