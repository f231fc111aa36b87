#include "train/nf4.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "train/block_code.h"

namespace kinglet::train {
namespace {

// Appendix E of the paper: quantiles of N(0, 1), scaled to [-1, 1], with a zero.
constexpr std::array<float, 16> kValues{
    -1.0f,       -0.69619280f, -0.52507305f, -0.39491749f, -0.28444138f, -0.18477343f, -0.09105004f, 0.0f,
    0.07958030f, 0.16093020f,  0.24611230f,  0.33791524f,  0.44070983f,  0.56261700f,  0.72295684f,  1.0f};

/// Both values of a byte.
struct Pairs {
  float values[256][2];
  constexpr Pairs() : values() {
    for (size_t byte = 0; byte < 256; ++byte) {
      values[byte][0] = kValues[byte & 15];
      values[byte][1] = kValues[byte >> 4];
    }
  }
};
constexpr Pairs kPairs;

/// The nearest of the sixteen, the lower one halfway.
uint8_t nearest(float x) {
  size_t code = 0;
  while (code < 15 && x > 0.5f * (kValues[code] + kValues[code + 1])) ++code;
  return static_cast<uint8_t>(code);
}

const BlockCode& scale_code() {
  static const BlockCode code(BlockCode::Sign::both);
  return code;
}

struct Layout {
  int64_t values, blocks, groups;
  Layout(int64_t N, int64_t K) : values(N * K), blocks(values / kNf4Block), groups(ceil_div(blocks, kNf4ScaleBlock)) {}
  uint64_t scales() const { return round_up<uint64_t>(static_cast<uint64_t>(values) / 2, 64); }
  uint64_t scale_scales() const { return scales() + round_up<uint64_t>(static_cast<uint64_t>(blocks), 64); }
  uint64_t bytes() const {
    return round_up<uint64_t>(scale_scales() + static_cast<uint64_t>(groups) * sizeof(float), 64);
  }
};

/// Codes of a row, and its blocks' largest magnitudes.
void encode_row(std::span<const float> row, uint8_t* codes, float* largest) {
  for (size_t begin = 0; begin < row.size(); begin += kNf4Block) {
    const auto block = row.subspan(begin, kNf4Block);
    float most = 0;
    for (const float x : block) most = std::abs(x) > most || std::isnan(x) ? std::abs(x) : most;
    *largest++ = most;
    const float inverse = most > 0 ? 1.0f / most : 0.0f;
    for (size_t i = 0; i < block.size(); i += 2)
      *codes++ = static_cast<uint8_t>(nearest(block[i] * inverse) | nearest(block[i + 1] * inverse) << 4);
  }
}

}  // namespace

std::span<const float, 16> nf4_values() { return kValues; }

uint64_t nf4_bytes(int64_t N, int64_t K) { return Layout(N, K).bytes(); }

void Nf4Matrix::decode(int64_t row, int64_t column, int64_t n, float* out) const {
  const std::span<const float, 256> table = scale_code().table();
  const int64_t first = row * K + column;
  const uint8_t* from = codes + first / 2;
  for (int64_t block = first / kNf4Block; block < (first + n) / kNf4Block; ++block) {
    const float scale = table[scales[block]] * scale_scales[block / kNf4ScaleBlock] + mean;
    for (int64_t i = 0; i < kNf4Block / 2; ++i) {
      const float* pair = kPairs.values[*from++];
      *out++ = pair[0] * scale;
      *out++ = pair[1] * scale;
    }
  }
}

Nf4Matrix quantize_nf4(const Nf4Source& source, const Parallel& parallel, std::byte* to) {
  const Layout layout(source.N, source.K);
  auto* codes = reinterpret_cast<uint8_t*>(to);
  auto* scales = reinterpret_cast<uint8_t*>(to + layout.scales());
  auto* scale_scales = reinterpret_cast<float*>(to + layout.scale_scales());
  std::vector<float> largest(static_cast<size_t>(layout.blocks));
  constexpr int64_t kRows = 32;
  parallel.for_each(ceil_div(source.N, kRows), [&](int64_t chunk, int) {
    std::vector<std::byte> aligned(source.row_bytes);  // old safetensors files do not align their data
    std::vector<float> row(static_cast<size_t>(source.K));
    for (int64_t n = chunk * kRows; n < std::min(source.N, (chunk + 1) * kRows); ++n) {
      std::memcpy(aligned.data(), source.rows + static_cast<size_t>(n) * source.row_bytes, source.row_bytes);
      source.convert(aligned.data(), source.K, row.data());
      encode_row(row, codes + n * source.K / 2, largest.data() + n * source.K / kNf4Block);
    }
  });
  double sum = 0;
  for (const float x : largest) sum += x;
  const auto mean = static_cast<float>(sum / static_cast<double>(std::max<int64_t>(layout.blocks, 1)));
  for (float& x : largest) x -= mean;
  const BlockCode& code = scale_code();
  parallel.for_each(layout.groups, [&](int64_t group, int) {
    const auto begin = static_cast<size_t>(group * kNf4ScaleBlock);
    const size_t n = std::min<size_t>(kNf4ScaleBlock, largest.size() - begin);
    code.encode(std::span(largest).subspan(begin, n), {scales + begin, n}, scale_scales[group]);
  });
  return {.codes = codes, .scales = scales, .scale_scales = scale_scales, .mean = mean, .K = source.K};
}

}  // namespace kinglet::train
