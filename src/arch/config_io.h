// One description of a configuration's keys for reading and writing both GGUF metadata and config.json.
//
// An architecture file calls io.integer(h.C, {"embedding_length", "hidden_size"}) once for each field; whether that reads a
// GGUF, reads a config.json or writes one of them is the ConfigIo's business.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "formats/checkpoint.h"
#include "formats/json_fwd.h"

namespace kinglet {

/// A field's key in each format. GGUF keys get the architecture's prefix ("llama.") unless they begin with "general.".
/// Hugging Face keys may be paths ("rope_parameters.rope_theta"). An empty key: the format does not carry the field.
struct ConfigKey {
  std::string_view gguf;
  std::string_view hf;
};

class ConfigIo {
 public:
  virtual ~ConfigIo() = default;
  virtual bool reading() const = 0;
  virtual bool is_gguf() const = 0;

  // Each moves one field. Reading: an absent key keeps `value` where `required` is false, else records an error; a value of the
  // wrong type or out of range records an error. The first error is kept in status().
  enum class Need { required, optional };
  virtual void integer(int64_t& value, const ConfigKey& key, Need need = Need::required) = 0;
  virtual void real(double& value, const ConfigKey& key, Need need = Need::required) = 0;
  virtual void flag(bool& value, const ConfigKey& key, Need need = Need::optional) = 0;
  virtual void text(std::string& value, const ConfigKey& key, Need need = Need::optional) = 0;
  virtual void reals(std::vector<float>& value, const ConfigKey& key, Need need = Need::optional) = 0;
  virtual void texts(std::vector<std::string>& value, const ConfigKey& key, Need need = Need::optional) = 0;
  /// A small f32 tensor beside the weights (GGUF's rope factors); formats without it ignore the call.
  virtual void factors(std::vector<float>& value, std::string_view gguf_tensor) = 0;
  /// Whether the source has the key (reading), whatever its value; null counts as absent.
  virtual bool has(const ConfigKey& key) const = 0;

  const Status& status() const { return status_; }
  void fail(Status status) {
    if (status_.ok()) status_ = status;
  }

 private:
  Status status_;
};

/// Reads `checkpoint` (which must outlive it); `prefix` is the GGUF architecture name.
std::unique_ptr<ConfigIo> make_config_reader(const Checkpoint& checkpoint, std::string_view prefix);

/// A small f32 tensor that carries configuration (GGUF's rope factors).
struct FactorTensor {
  std::string name;
  std::vector<float> values;
};

/// Sets keys of `file` and appends the factor tensors, which the caller declares and writes. Both must outlive it.
std::unique_ptr<ConfigIo> make_gguf_config_writer(gguf::Writer& file, std::string_view prefix,
                                                  std::vector<FactorTensor>& factors);
/// Sets members of the object `config`, which must outlive it.
std::unique_ptr<ConfigIo> make_hf_config_writer(Json& config);

}  // namespace kinglet
