// ConfigIo that reads a GGUF's metadata or a config.json.
#include <cmath>
#include <cstring>

#include "arch/config_io.h"
#include "formats/hf_directory.h"
#include "host/error.h"

namespace kinglet {
namespace {

class GgufReader final : public ConfigIo {
 public:
  GgufReader(const gguf::File& file, std::string_view prefix) : file_(file), prefix_(prefix) {}
  bool reading() const override { return true; }
  bool is_gguf() const override { return true; }

  void integer(int64_t& value, const ConfigKey& key, Need need) override {
    move(key, need, value, [this](auto& k) { return file_.get_int(k); });
  }
  void real(double& value, const ConfigKey& key, Need need) override {
    double read = value;
    move(key, need, read, [this](auto& k) { return file_.get_float(k); });
    if (!std::isfinite(read)) return fail(error(Code::corrupt, "metadata key {} is not a finite number", full(key)));
    value = read;
  }
  void flag(bool& value, const ConfigKey& key, Need need) override {
    move(key, need, value, [this](auto& k) { return file_.get_bool(k); });
  }
  void text(std::string& value, const ConfigKey& key, Need need) override {
    move(key, need, value, [this](auto& k) { return file_.get_string(k); });
  }
  void reals(std::vector<float>& value, const ConfigKey& key, Need need) override { list(key, need, value); }
  void texts(std::vector<std::string>& value, const ConfigKey& key, Need need) override { list(key, need, value); }

  void factors(std::vector<float>& value, std::string_view name) override {
    const gguf::Tensor* tensor = file_.find_tensor(name);
    if (tensor == nullptr) return;
    if (tensor->dtype != DType::f32 || tensor->shape.rank != 1)
      return fail(error(Code::corrupt, "tensor {} is not a row of f32", name));
    value.resize(tensor->data.size() / sizeof(float));
    memcpy(value.data(), tensor->data.data(), value.size() * sizeof(float));
  }
  bool has(const ConfigKey& key) const override { return !key.gguf.empty() && file_.find(full(key)) != nullptr; }

 private:
  std::string full(const ConfigKey& key) const {
    return key.gguf.starts_with("general.") ? std::string(key.gguf) : fmt::format("{}.{}", prefix_, key.gguf);
  }
  template <typename T, typename Get>
  void move(const ConfigKey& key, Need need, T& value, Get get) {
    if (key.gguf.empty()) return;
    const std::string name = full(key);
    if (auto found = get(name)) {
      value = T(*found);
    } else if (file_.find(name) != nullptr) {
      fail(error(Code::corrupt, "metadata key {} has the wrong type or is out of range", name));
    } else if (need == Need::required) {
      fail(error(Code::corrupt, "metadata key {} is missing", name));
    }
  }
  template <typename T>
  void list(const ConfigKey& key, Need need, std::vector<T>& value) {
    if (key.gguf.empty()) return;
    const std::string name = full(key);
    const gguf::Array* array = file_.get_array(name);
    if (array == nullptr) {
      if (need == Need::required || file_.find(name) != nullptr)
        fail(error(Code::corrupt, "metadata key {} is missing or no array", name));
      return;
    }
    if (const auto* items = std::get_if<std::vector<T>>(&array->items)) value = *items;
    else fail(error(Code::corrupt, "metadata key {} is an array of the wrong type", name));
  }

  const gguf::File& file_;
  std::string prefix_;
};

class HfReader final : public ConfigIo {
 public:
  explicit HfReader(const Json& config) : config_(config) {}
  bool reading() const override { return true; }
  bool is_gguf() const override { return false; }

  void integer(int64_t& value, const ConfigKey& key, Need need) override {
    const Json* found = find(key, need);
    if (found == nullptr) return;
    if (found->is_number_unsigned() && found->get<uint64_t>() > uint64_t{INT64_MAX})
      return wrong(key, "a 64-bit integer");
    if (found->is_number_integer()) value = found->get<int64_t>();
    else wrong(key, "an integer");
  }
  void real(double& value, const ConfigKey& key, Need need) override {
    const Json* found = find(key, need);
    if (found == nullptr) return;
    if (!found->is_number() || !std::isfinite(found->get<double>())) return wrong(key, "a finite number");
    value = found->get<double>();
  }
  void flag(bool& value, const ConfigKey& key, Need need) override {
    const Json* found = find(key, need);
    if (found == nullptr) return;
    if (!found->is_boolean()) return wrong(key, "true or false");
    value = found->get<bool>();
  }
  void text(std::string& value, const ConfigKey& key, Need need) override {
    const Json* found = find(key, need);
    if (found == nullptr) return;
    if (!found->is_string()) return wrong(key, "a string");
    value = found->get<std::string>();
  }
  void reals(std::vector<float>& value, const ConfigKey& key, Need need) override {
    const Json* found = find(key, need);
    if (found == nullptr) return;
    if (!found->is_array()) return wrong(key, "an array of numbers");
    std::vector<float> out;
    for (const Json& item : *found) {
      if (!item.is_number()) return wrong(key, "an array of numbers");
      out.push_back(item.get<float>());
    }
    value = std::move(out);
  }
  void texts(std::vector<std::string>& value, const ConfigKey& key, Need need) override {
    const Json* found = find(key, need);
    if (found == nullptr) return;
    if (!found->is_array()) return wrong(key, "an array of strings");
    std::vector<std::string> out;
    for (const Json& item : *found) {
      if (!item.is_string()) return wrong(key, "an array of strings");
      out.push_back(item.get<std::string>());
    }
    value = std::move(out);
  }
  void factors(std::vector<float>&, std::string_view) override {}
  bool has(const ConfigKey& key) const override { return !key.hf.empty() && at(key.hf) != nullptr; }

 private:
  const Json* at(std::string_view path) const {
    const Json* here = &config_;
    while (true) {
      const size_t dot = path.find('.');
      if (!here->is_object()) return nullptr;
      const auto it = here->find(std::string(path.substr(0, dot)));
      if (it == here->end() || it->is_null()) return nullptr;
      here = &*it;
      if (dot == std::string_view::npos) return here;
      path.remove_prefix(dot + 1);
    }
  }
  const Json* find(const ConfigKey& key, Need need) {
    if (key.hf.empty()) return nullptr;
    const Json* found = at(key.hf);
    if (found == nullptr && need == Need::required) fail(error(Code::corrupt, "config.json: {} is missing", key.hf));
    return found;
  }
  void wrong(const ConfigKey& key, std::string_view what) {
    fail(error(Code::corrupt, "config.json: {} must be {}", key.hf, what));
  }

  const Json& config_;
};

}  // namespace

std::unique_ptr<ConfigIo> make_config_reader(const Checkpoint& checkpoint, std::string_view prefix) {
  if (checkpoint.gguf() != nullptr) return std::make_unique<GgufReader>(*checkpoint.gguf(), prefix);
  return std::make_unique<HfReader>(checkpoint.hf()->config);
}

}  // namespace kinglet
