// What fills a row of the kernel table. Weight kernels (packing, matrix products, activation quantization) and vector
// kernels (norms, rope, activations, attention) come from different files; kernels.cc calls both for each row.
#pragma once

#include "kernels/kernels.h"

namespace kinglet {

// quantize_rows, act_row_bytes and weights[].
void fill_ref_weights(KernelTable& table);
void fill_ref_activations(KernelTable& table);  ///< the first two of these
void fill_avx2_weights(KernelTable& table);
void fill_avx512_weights(KernelTable& table);
void fill_avx512bf16_weights(KernelTable& table);  ///< of bf16 alone
void fill_amx_weights(KernelTable& table);         ///< of the quantized types alone
void fill_dotprod_weights(KernelTable& table);
void fill_i8mm_weights(KernelTable& table);  ///< of the quantized types alone

// kv_store and attention_*.
void fill_ref_attention(KernelTable& table);
void fill_avx2_attention(KernelTable& table);
void fill_avx512_attention(KernelTable& table);
void fill_neon_attention(KernelTable& table);

// Everything else; these call the attention's.
void fill_ref_vector(KernelTable& table);
void fill_avx2_vector(KernelTable& table);
void fill_avx512_vector(KernelTable& table);
void fill_neon_vector(KernelTable& table);

}  // namespace kinglet
