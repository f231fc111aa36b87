// Eight-bit numbers for optimizer state: blocks of values over their largest magnitude, each as an index into a fixed table whose
// steps grow with the value, so that seven orders of magnitude keep a few percent. The tables are those of "8-bit Optimizers via
// Block-wise Quantization" (Dettmers et al. 2022), section 2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace kinglet::train {

inline constexpr size_t kBlockValues = 256;  ///< values that share a scale

class BlockCode {
 public:
  enum class Sign { both, positive };
  explicit BlockCode(Sign sign);

  /// One block, of at most kBlockValues. A value that is not 0 gets no code of 0 in the positive table: what divides by it stays
  /// bounded.
  void decode(std::span<const uint8_t> codes, float scale, std::span<float> values) const;
  void encode(std::span<const float> values, std::span<uint8_t> codes, float& scale) const;

  std::span<const float, 256> table() const { return table_; }

 private:
  uint8_t nearest(float value) const;

  Sign sign_;
  std::array<float, 256> table_{};       ///< ascending, from -1 or 0 to 1
  std::array<float, 255> boundaries_{};  ///< halfway between neighbours
};

}  // namespace kinglet::train
