// The weight kernels of the amx row: those of the row below, but for the products of many tokens with quantized weights.
#include "kernels/rows.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {

void fill_amx_weights(KernelTable& table) {
  fill_amx_simple(table);
  fill_amx_super(table);
}

}  // namespace kinglet
