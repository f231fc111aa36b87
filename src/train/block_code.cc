#include "train/block_code.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace kinglet::train {

BlockCode::BlockCode(Sign sign) : sign_(sign) {
  // Decade by decade from 10^-6 to 1, each with twice the values of the one before: the middles of equal parts of 0.1 to 1.
  constexpr int kDecades = 7;
  std::vector<double> values{0, 1};
  for (int decade = 0; decade < kDecades; ++decade) {
    const int parts = 1 << (sign == Sign::both ? decade : decade + 1);
    const double scale = std::pow(10.0, decade - (kDecades - 1));
    for (int i = 0; i < parts; ++i) {
      const double middle = scale * (0.1 + 0.9 * (i + 0.5) / parts);
      values.push_back(middle);
      if (sign == Sign::both) values.push_back(-middle);
    }
  }
  std::sort(values.begin(), values.end());
  for (size_t i = 0; i < table_.size(); ++i) table_[i] = static_cast<float>(values[i]);
  for (size_t i = 0; i < boundaries_.size(); ++i) boundaries_[i] = 0.5f * (table_[i] + table_[i + 1]);
}

uint8_t BlockCode::nearest(float value) const {
  // A binary search of fixed length: the index is the number of boundaries below the value.
  size_t low = 0;
  for (size_t half = 128; half > 0; half /= 2)
    if (boundaries_[low + half - 1] < value) low += half;
  if (sign_ == Sign::positive && low == 0 && value > 0) low = 1;
  return static_cast<uint8_t>(low);
}

void BlockCode::decode(std::span<const uint8_t> codes, float scale, std::span<float> values) const {
  for (size_t i = 0; i < codes.size(); ++i) values[i] = table_[codes[i]] * scale;
}

void BlockCode::encode(std::span<const float> values, std::span<uint8_t> codes, float& scale) const {
  float most = 0;
  for (const float v : values) most = std::max(most, std::abs(v));
  scale = most;
  const float inverse = most > 0 ? 1.0f / most : 0.0f;
  for (size_t i = 0; i < values.size(); ++i) codes[i] = nearest(values[i] * inverse);
}

}  // namespace kinglet::train
