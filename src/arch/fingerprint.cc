#include "arch/fingerprint.h"

#include <cstring>

#include "arch/model_spec.h"
#include "host/error.h"
#include "kernels/kernels.h"

namespace kinglet {
namespace {

class Fnv1a {
 public:
  void add(const void* bytes, size_t size) {
    const auto* p = static_cast<const unsigned char*>(bytes);
    for (size_t i = 0; i < size; ++i) state_ = (state_ ^ p[i]) * 0x100000001B3u;
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0xCBF29CE484222325u;
};

}  // namespace

Result<std::string> model_fingerprint(const Checkpoint& checkpoint, const ProgramStorage& program) {
  const bool add_one = checkpoint.kind() == Checkpoint::Kind::hugging_face;
  Fnv1a hash;
  std::vector<float> values;
  std::vector<std::byte> aligned;
  for (const ParamInfo& p : program.params) {
    if ((p.kind != ParamKind::norm && p.kind != ParamKind::bias) || !p.values.empty()) continue;
    KL_ASSIGN(const TensorView tensor, find_param(checkpoint, p));
    const DequantizeRow convert = dequantize_row(tensor.dtype);
    if (convert == nullptr || is_quantized(tensor.dtype))
      return error(Code::unsupported, "tensor {} is {}", p.hf, name(tensor.dtype));
    values.resize(static_cast<size_t>(p.shape[0]));
    aligned.assign(tensor.data.begin(), tensor.data.end());
    convert(aligned.data(), p.shape[0], values.data());
    if (p.plus_one && add_one)
      for (float& v : values) v += 1.0f;
    hash.add(p.hf.data(), p.hf.size());
    hash.add(values.data(), values.size() * sizeof(float));
  }
  return fmt::format("{:016x}", hash.value());
}

}  // namespace kinglet
