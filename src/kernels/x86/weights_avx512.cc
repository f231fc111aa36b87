// The weight kernels of the avx512 row.
#include "kernels/rows.h"

namespace kinglet {

void fill_avx512_weights(KernelTable&) {}

}  // namespace kinglet
