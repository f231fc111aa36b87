// The weight kernels of the ref row.
#include "kernels/rows.h"

namespace kinglet {

void fill_ref_weights(KernelTable&) {}

}  // namespace kinglet
