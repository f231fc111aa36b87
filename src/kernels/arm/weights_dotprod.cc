// The weight kernels of the dotprod row.
#include "kernels/arm/weights_neon.h"
#include "kernels/panels.h"
#include "kernels/rows.h"

namespace kinglet {

void fill_dotprod_weights(KernelTable& table) {
  fill_panel_packers(table);
  fill_dotprod_activations(table);
  fill_dotprod_simple(table);
  fill_dotprod_super(table);
  fill_dotprod_float(table);
}

}  // namespace kinglet
