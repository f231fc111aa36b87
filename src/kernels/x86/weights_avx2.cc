// The weight kernels of the avx2 row.
#include "kernels/rows.h"

namespace kinglet {

void fill_avx2_weights(KernelTable&) {}

}  // namespace kinglet
