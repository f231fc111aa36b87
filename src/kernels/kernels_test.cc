#include "kernels/kernels.h"

#include <cstring>

#include "gtest/gtest.h"

namespace kinglet {
namespace {

TEST(Kernels, ReferenceIsTheLastRow) {
  const KernelRows rows = available_kernels();
  ASSERT_GE(rows.count, 1);
  EXPECT_STREQ(rows.rows[rows.count - 1]->name, "ref");
}

TEST(Kernels, RowsAreFoundByName) {
  const KernelRows rows = available_kernels();
  for (int i = 0; i < rows.count; ++i) EXPECT_EQ(find_kernels(rows.rows[i]->name), rows.rows[i]);
  EXPECT_EQ(find_kernels(nullptr), rows.rows[0]);
  EXPECT_EQ(find_kernels(""), rows.rows[0]);
  EXPECT_EQ(find_kernels("abacus"), nullptr);
  const KernelRows absent = unavailable_kernels();
  for (int i = 0; i < absent.count; ++i) EXPECT_EQ(find_kernels(absent.rows[i]->name), nullptr);
}

TEST(Kernels, EveryRowHasEveryVectorKernel) {
  for (const KernelRows& rows : {available_kernels(), unavailable_kernels()}) {
    for (int i = 0; i < rows.count; ++i) {
      const KernelTable& t = *rows.rows[i];
      EXPECT_TRUE(t.rms_norm && t.layer_norm && t.rope_half && t.rope_interleaved && t.silu_mul && t.gelu_tanh_mul &&
                  t.gelu_mul && t.add && t.scale && t.gain && t.softcap && t.kv_store && t.attention_split &&
                  t.attention_scratch_bytes && t.attention_merge && t.attention_finish)
          << t.name;
    }
  }
}

TEST(Kernels, NamesTheRowsThatAreSkipped) {
  const KernelRows absent = unavailable_kernels();
  for (int i = 0; i < absent.count; ++i)
    std::printf("[  SKIPPED ] kernel row %s: this processor lacks it\n", absent.rows[i]->name);
}

}  // namespace
}  // namespace kinglet
