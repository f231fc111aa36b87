// The parts that weights_dotprod.cc puts together.
#pragma once

#include "kernels/kernels.h"

namespace kinglet {

void fill_dotprod_simple(KernelTable& table);
void fill_dotprod_super(KernelTable& table);
void fill_dotprod_float(KernelTable& table);
void fill_dotprod_activations(KernelTable& table);

}  // namespace kinglet
