// The parts that weights_dotprod.cc and weights_i8mm.cc put together.
#pragma once

#include "kernels/kernels.h"

namespace kinglet {

void fill_dotprod_simple(KernelTable& table);
void fill_dotprod_super(KernelTable& table);
void fill_dotprod_float(KernelTable& table);
void fill_dotprod_activations(KernelTable& table);

void fill_i8mm_simple(KernelTable& table);
void fill_i8mm_super(KernelTable& table);

}  // namespace kinglet
