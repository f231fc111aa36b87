#include "train/reference_cache.h"

#include <cmath>
#include <cstring>

#include "formats/safetensors.h"
#include "host/error.h"
#include "host/file.h"
#include "tokenizer/hash.h"

namespace kinglet::train {
namespace {

constexpr char kKey[] = "kinglet.reference";
constexpr char kTensor[] = "log_probs";

template <typename T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

/// One hash of many, in order.
class Hash {
 public:
  void add(std::string_view bytes) { state_ = fold_multiply(state_ ^ hash_bytes(bytes), 0x9E3779B97F4A7C15u) + 1; }
  void add(double number) { add(std::string_view(reinterpret_cast<const char*>(&number), sizeof number)); }
  std::string text() const { return fmt::format("{:016x}", state_); }

 private:
  uint64_t state_ = 0xD6E8FEB86659FD93u;
};

/// Field by field: steps have padding between theirs.
void add_program(const ProgramStorage& program, Hash& hash) {
  for (const Step& s : program.steps) {
    const Attr& a = s.attr;
    for (const double number :
         {static_cast<double>(s.op), static_cast<double>(s.in[0]), static_cast<double>(s.in[1]),
          static_cast<double>(s.in[2]), static_cast<double>(s.out), static_cast<double>(s.weight),
          static_cast<double>(s.bias), double{a.eps}, double{a.factor}, double{a.scale}, double{a.softcap},
          static_cast<double>(a.heads), static_cast<double>(a.kv_heads), static_cast<double>(a.rotary),
          static_cast<double>(a.rope), static_cast<double>(a.window), static_cast<double>(a.interleaved),
          static_cast<double>(a.causal)})
      hash.add(number);
  }
  for (const RopeTable& table : program.ropes) {
    hash.add(bytes_of(table.freq));
    hash.add(bytes_of(table.long_freq));
    hash.add(static_cast<double>(table.original_context));
    hash.add(double{table.magnitude});
  }
}

Result<std::vector<double>> read(const std::string& path, const std::string& key, size_t answers) {
  KL_ASSIGN(const safetensors::File file, safetensors::File::open(path));
  const auto found = file.metadata().find(kKey);
  const safetensors::Tensor* tensor = file.find(kTensor);
  if (found == file.metadata().end() || found->second != key || tensor == nullptr || tensor->dtype != DType::f64 ||
      tensor->shape != Shape{static_cast<int64_t>(answers)})
    return error(Code::corrupt, "{}: of other answers", path);
  std::vector<double> out(answers);
  std::memcpy(out.data(), tensor->data.data(), tensor->data.size());
  for (const double x : out)
    if (!std::isfinite(x)) return error(Code::corrupt, "{}: holds a value that is not finite", path);
  return out;
}

}  // namespace

Result<std::string> model_key(const Checkpoint& checkpoint, const ModelSpec& spec) {
  Hash hash;
  add_program(spec.program, hash);
  for (const ParamInfo& p : spec.program.params) {
    KL_ASSIGN(const TensorView tensor, find_param(checkpoint, p));
    hash.add(p.hf);
    hash.add(static_cast<double>(tensor.dtype));
    hash.add(bytes_of(tensor.data));
  }
  return hash.text();
}

std::string data_key(const Dataset& data) {
  Hash hash;
  for (size_t i = 0; i < data.size(); ++i) {
    hash.add(bytes_of(data.ids(i)));
    hash.add(bytes_of(data.labels(i)));
  }
  return hash.text();
}

Result<std::vector<double>> ReferenceCache::log_probs(const Dataset& data, const AnswerScorer& compute) {
  const std::string key = fmt::format("model {} data {}", model_, data_key(data));
  const std::string path = join_path(folder_, fmt::format("{:016x}.safetensors", hash_bytes(key)));
  if (!folder_.empty() && is_file(path)) {
    if (auto known = read(path, key, data.size()); known.ok()) {
      found_ += static_cast<int64_t>(data.size());
      return known;
    }
  }
  KL_ASSIGN(const std::vector<double> made, compute(data));
  computed_ += static_cast<int64_t>(made.size());
  if (!folder_.empty() && make_directories(folder_).ok()) {
    const safetensors::OutTensor tensor{
        kTensor, DType::f64, {static_cast<int64_t>(made.size())}, std::as_bytes(std::span(made))};
    (void)safetensors::write(path, {&tensor, 1}, {{kKey, key}});
  }
  return made;
}

}  // namespace kinglet::train
