// The weight kernels of the avx512 row: AVX-512 with VNNI.
#include "kernels/panels.h"
#include "kernels/rows.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {

void fill_avx512_weights(KernelTable& table) {
  fill_panel_packers(table);
  fill_avx2_activations(table);
  fill_avx512_simple(table);
  fill_avx512_super(table);
  fill_avx512_float(table);
}

}  // namespace kinglet
