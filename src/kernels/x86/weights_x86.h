// The parts that weights_avx2.cc, weights_avx512.cc and weights_amx.cc put together.
#pragma once

#include "kernels/kernels.h"

namespace kinglet {

void fill_avx512_simple(KernelTable& table);
void fill_avx512_super(KernelTable& table);
void fill_avx512_float(KernelTable& table);

void fill_amx_simple(KernelTable& table);
void fill_amx_super(KernelTable& table);

void fill_avx2_simple(KernelTable& table);
void fill_avx2_super(KernelTable& table);
void fill_avx2_float(KernelTable& table);
void fill_avx2_activations(KernelTable& table);

}  // namespace kinglet
