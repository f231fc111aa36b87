// DecodePanel of every quantized type. Included inside an anonymous namespace, after one of kernels/x86/vec_*.h, kernels/simd/decode.h,
// unrolled.h and transpose.inl.

/// Byte c of each quad of a slice as a float, less the offset that its type has.
template <class D, int c>
KL_INLINE Vec::F decoded_byte(Vec::I quads) {
  constexpr bool kFlipped = D::kOffsetBits == 7;  // unsigned only for the integer products: the sign bit is turned back
  const Vec::I w = kFlipped ? Vec::byte_weights(quads) : quads;
  const Vec::I byte = Vec::right32<24>(Vec::left32<24 - 8 * c>(w));
  if constexpr (kFlipped || D::kOffsetBits == 0) return Vec::to_float(byte);
  else return Vec::to_float(Vec::sub32(byte, Vec::set32(1 << D::kOffsetBits)));
}

/// `tile` gets slice s: value k of row r at tile[16 k + r].
template <class D, int s, class Header>
KL_INLINE void decode_slice(const uint8_t* block, int part, const Header& header, float* tile) {
  constexpr int kRows = kPanelRows / Vec::kParts;
  Vec::I w[8];
  SliceScales scales;
  D::template slice<s>(block, part, header, w, scales);
  unrolled<8>([&]<int i>() __attribute__((always_inline)) {
    unrolled<4>([&]<int c>() __attribute__((always_inline)) {
      constexpr int half = D::kHalves == 1 ? 0 : i / 4;
      // scale * byte has few enough bits to be exact or is rounded once, as in dequantize_row; so is the difference.
      Vec::F value = Vec::mul(decoded_byte<D, c>(w[i]), scales.scale[half]);
      if constexpr (D::kMins) value = Vec::fnmadd(scales.min[half], Vec::set(1.0f), value);
      Vec::store(reinterpret_cast<uint8_t*>(tile + 16 * (4 * i + c) + kRows * part), value);
    });
  });
}

template <class D>
void decode_panel(const std::byte* panel, int64_t K, float* out, int64_t out_row) {
  constexpr int kSliceValues = 32;
  const auto* block = reinterpret_cast<const uint8_t*>(panel);
  alignas(64) float tile[kSliceValues * kPanelRows];
  for (int64_t k = 0; k < K; k += kSliceValues * D::kSlices, block += D::kBytes) {
    const auto header = D::header(block);
    unrolled<D::kSlices>([&]<int s>() __attribute__((always_inline)) {
      for (int part = 0; part < Vec::kParts; ++part) decode_slice<D, s>(block, part, header, tile);
      for (int i = 0; i < kSliceValues; i += kTransposed)
        for (int r = 0; r < kPanelRows; r += kTransposed)
          transpose(tile + kPanelRows * i + r, kPanelRows, out + r * out_row + k + s * kSliceValues + i, out_row);
    });
  }
}

DecodePanel decoder_of(DType type) {
  switch (type) {
    case DType::q4_0:
      return decode_panel<Decode<DType::q4_0>>;
    case DType::q4_1:
      return decode_panel<Decode<DType::q4_1>>;
    case DType::q5_0:
      return decode_panel<Decode<DType::q5_0>>;
    case DType::q5_1:
      return decode_panel<Decode<DType::q5_1>>;
    case DType::q8_0:
      return decode_panel<Decode<DType::q8_0>>;
    case DType::q2_k:
      return decode_panel<Decode<DType::q2_k>>;
    case DType::q3_k:
      return decode_panel<Decode<DType::q3_k>>;
    case DType::q4_k:
      return decode_panel<Decode<DType::q4_k>>;
    case DType::q5_k:
      return decode_panel<Decode<DType::q5_k>>;
    case DType::q6_k:
      return decode_panel<Decode<DType::q6_k>>;
    case DType::iq4_nl:
      return decode_panel<Decode<DType::iq4_nl>>;
    case DType::iq4_xs:
      return decode_panel<Decode<DType::iq4_xs>>;
    default:
      return nullptr;
  }
}
