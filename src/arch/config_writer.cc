// ConfigIo that writes a GGUF's metadata or a config.json.
#include <charconv>

#include "arch/config_io.h"
#include "formats/json.h"
#include "host/error.h"

namespace kinglet {
namespace {

class GgufWriter final : public ConfigIo {
 public:
  GgufWriter(gguf::Writer& file, std::string_view prefix, std::vector<FactorTensor>& factors)
      : file_(file), prefix_(prefix), factors_(factors) {}
  bool reading() const override { return false; }
  bool is_gguf() const override { return true; }

  void integer(int64_t& value, const ConfigKey& key, Need) override {
    if (key.gguf.empty()) return;
    const auto fits = checked_cast<uint32_t>(value);
    if (!fits) return fail(error(Code::out_of_range, "{} is {}, which a GGUF cannot hold", full(key), value));
    file_.set(full(key), *fits);
  }
  void real(double& value, const ConfigKey& key, Need) override { set(key, static_cast<float>(value)); }
  void flag(bool& value, const ConfigKey& key, Need) override { set(key, value); }
  void text(std::string& value, const ConfigKey& key, Need) override { set(key, value); }
  void reals(std::vector<float>& value, const ConfigKey& key, Need) override { set(key, gguf::make_array(value)); }
  void texts(std::vector<std::string>& value, const ConfigKey& key, Need) override {
    set(key, gguf::make_array(value));
  }
  void factors(std::vector<float>& value, std::string_view gguf_tensor) override {
    if (!value.empty()) factors_.push_back({std::string(gguf_tensor), value});
  }
  bool has(const ConfigKey&) const override { return false; }

 private:
  std::string full(const ConfigKey& key) const {
    return key.gguf.starts_with("general.") ? std::string(key.gguf) : fmt::format("{}.{}", prefix_, key.gguf);
  }
  void set(const ConfigKey& key, gguf::Value value) {
    if (!key.gguf.empty()) file_.set(full(key), std::move(value));
  }

  gguf::Writer& file_;
  std::string prefix_;
  std::vector<FactorTensor>& factors_;
};

class HfWriter final : public ConfigIo {
 public:
  explicit HfWriter(Json& config) : config_(config) {}
  bool reading() const override { return false; }
  bool is_gguf() const override { return false; }

  void integer(int64_t& value, const ConfigKey& key, Need) override { set(key, value); }
  void real(double& value, const ConfigKey& key, Need) override { set(key, shortest(value)); }
  void flag(bool& value, const ConfigKey& key, Need) override { set(key, value); }
  void text(std::string& value, const ConfigKey& key, Need) override { set(key, value); }
  void reals(std::vector<float>& value, const ConfigKey& key, Need) override {
    Json list = Json::array();
    for (const float f : value) list.push_back(shortest(f));
    set(key, std::move(list));
  }
  void texts(std::vector<std::string>& value, const ConfigKey& key, Need) override { set(key, value); }
  void factors(std::vector<float>&, std::string_view) override {}
  bool has(const ConfigKey&) const override { return false; }

 private:
  /// A value that a GGUF rounded to f32 as people write it: 1e-06 and not 9.999999974752427e-07.
  static double shortest(double value) {
    const float rounded = static_cast<float>(value);
    if (static_cast<double>(rounded) != value) return value;
    const std::string digits = fmt::format("{}", rounded);
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }
  void set(const ConfigKey& key, Json value) {
    if (key.hf.empty()) return;
    Json* here = &config_;
    std::string_view path = key.hf;
    for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
      here = &(*here)[std::string(path.substr(0, dot))];
      path.remove_prefix(dot + 1);
    }
    (*here)[std::string(path)] = std::move(value);
  }

  Json& config_;
};

}  // namespace

std::unique_ptr<ConfigIo> make_gguf_config_writer(gguf::Writer& file, std::string_view prefix,
                                                  std::vector<FactorTensor>& factors) {
  return std::make_unique<GgufWriter>(file, prefix, factors);
}

std::unique_ptr<ConfigIo> make_hf_config_writer(Json& config) { return std::make_unique<HfWriter>(config); }

}  // namespace kinglet
