#include "kernels/x86/vec_avx512.h"
// The vector operations come first: the others are written in them.
#include "kernels/simd/decode.h"
#include "kernels/simd/unrolled.h"
#include "train/decode_panels.h"

namespace kinglet::train {
namespace {
#include "train/x86/transpose.inl"
// transpose() comes first.
#include "train/x86/decode_panels.inl"
}  // namespace

DecodePanel panel_decoder_avx512(DType type) { return decoder_of(type); }

}  // namespace kinglet::train
