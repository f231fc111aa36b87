// The weight kernels of the i8mm row: those of the dotprod row, but for the products of many tokens.
#include "kernels/arm/weights_neon.h"
#include "kernels/rows.h"

namespace kinglet {

void fill_i8mm_weights(KernelTable& table) {
  fill_i8mm_simple(table);
  fill_i8mm_super(table);
}

}  // namespace kinglet
