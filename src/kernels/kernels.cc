// Composes the rows of the kernel table, each on top of the one below it.
#include "kernels/kernels.h"

#include <cstring>

#include "base/cpu.h"
#include "kernels/rows.h"

namespace kinglet {
namespace {

[[maybe_unused]] constexpr const char* kPanels16 = "panels-16-stream";  // the interleaving that all SIMD rows share

struct Row {
  KernelTable table{};
  bool runnable = false;
};

/// Every row that was compiled in, the reference first and then upwards.
class Rows {
 public:
  Rows() {
    fill_ref_vector(push("ref", "canonical", true));
    fill_ref_weights(top());
#if defined(__x86_64__)
    const CpuFeatures& cpu = cpu_features();
    fill_avx2_vector(push("avx2", kPanels16, cpu.avx2));
    fill_avx2_weights(top());
    fill_avx512_vector(push("avx512", kPanels16, cpu.avx512));
    fill_avx512_weights(top());
    push("avx512bf16", kPanels16, cpu.avx512_bf16);
    fill_avx512bf16_weights(top());
    push("amx", kPanels16, cpu.avx512_bf16 && cpu.amx_int8);
    fill_amx_weights(top());
#elif defined(__aarch64__)
    const CpuFeatures& cpu = cpu_features();
    fill_neon_vector(push("neon", "canonical", cpu.neon));  // any 64-bit Arm; products are the reference's
    push("dotprod", kPanels16, cpu.neon_dotprod);
    fill_dotprod_weights(top());
    push("i8mm", kPanels16, cpu.neon_i8mm && cpu.neon_dotprod);
    fill_i8mm_weights(top());
#endif
  }

  /// The rows that can run (or cannot), best first.
  KernelRows select(bool runnable) const {
    KernelRows selected{};
    for (int i = count_; i-- > 0;)
      if (rows_[i].runnable == runnable) selected.rows[selected.count++] = &rows_[i].table;
    return selected;
  }

 private:
  /// A new row that starts as a copy of the one below: what it does not fill in, it inherits.
  KernelTable& push(const char* name, const char* packing, bool runnable) {
    Row& row = rows_[count_];
    if (count_ > 0) row.table = rows_[count_ - 1].table;
    row.table.name = name;
    row.table.packing = packing;
    row.runnable = runnable;
    ++count_;
    return row.table;
  }
  KernelTable& top() { return rows_[count_ - 1].table; }

  Row rows_[sizeof(KernelRows::rows) / sizeof(KernelRows::rows[0])];
  int count_ = 0;
};

const Rows& all_rows() {
  static const Rows rows;
  return rows;
}

}  // namespace

KernelRows available_kernels() { return all_rows().select(true); }
KernelRows unavailable_kernels() { return all_rows().select(false); }

const KernelTable* find_kernels(const char* name) {
  const KernelRows available = available_kernels();
  if (name == nullptr || *name == '\0') return available.rows[0];
  for (int i = 0; i < available.count; ++i)
    if (std::strcmp(available.rows[i]->name, name) == 0) return available.rows[i];
  return nullptr;
}

}  // namespace kinglet
