#include "train/dropout.h"

#include <algorithm>
#include <cmath>

#include "host/error.h"

namespace kinglet::train {
namespace {

constexpr int32_t kHashes = 1 << 24;  // of a value (DropoutRow)

/// The finalizer of splitmix64 (Steele, Lea and Flood 2014) of one more number.
uint64_t mix(uint64_t state, uint64_t next) {
  uint64_t x = (state ^ next) + 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t sequence_noise(uint64_t seed, uint64_t epoch, uint64_t sample, uint64_t begin) {
  return mix(mix(mix(mix(0, seed), epoch), sample), begin);
}

std::vector<int8_t> dropout_sites(const Program& program) {
  std::vector<int8_t> sites(program.steps.size(), kNone);
  std::vector<uint8_t> residual(program.slots.size(), 0);  // the slots that hold the residual stream
  const auto on_stream = [&](SlotId s) { return residual[static_cast<size_t>(s)] != 0; };
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& s = program.steps[i];
    bool stays = s.op == Op::embed || (s.op == Op::scale && on_stream(s.in[0]));
    if (s.op == Op::embed) sites[i] = 0;
    if (s.op == Op::add) {  // an adapter's sum is beside the stream
      const bool first = on_stream(s.in[0]), second = on_stream(s.in[1]);
      if (first != second) sites[i] = first ? 1 : 0;
      stays = first || second;
    }
    residual[static_cast<size_t>(s.out)] = stays ? 1 : 0;
  }
  return sites;
}

Result<Dropout> Dropout::create(double rate) {
  if (!(rate >= 0 && rate < 1))
    return error(Code::out_of_range, "a dropout of {}: it is 0 or more, and less than 1", rate);
  Dropout out;
  out.least_ = std::min(static_cast<int32_t>(std::lround(rate * kHashes)), kHashes - 1);
  out.scale_ = static_cast<float>(double{kHashes} / (kHashes - out.least_));
  return out;
}

DropoutRow Dropout::row(uint64_t noise, int32_t step, int32_t position) const {
  const uint64_t key = mix(mix(noise, static_cast<uint64_t>(step)), static_cast<uint64_t>(position));
  return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32), least_, scale_};
}

}  // namespace kinglet::train
