// The weight kernels of the avx2 row.
#include "kernels/panels.h"
#include "kernels/rows.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {

void fill_avx2_weights(KernelTable& table) {
  fill_panel_packers(table);
  fill_avx2_activations(table);
  fill_avx2_simple(table);
  fill_avx2_super(table);
  fill_avx2_float(table);
}

}  // namespace kinglet
