// A checkpoint is a model as it lies on disk: a GGUF file or a Hugging Face directory, opened and checked.
// It knows nothing of architectures: arch/ reads hyper-parameters and weights from it, tokenizer/ the vocabulary.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "formats/gguf.h"
#include "formats/safetensors.h"

namespace kinglet {

struct HfDirectory;  // formats/hf_directory.h

/// A tensor by name, wherever it lies.
struct TensorView {
  DType dtype;
  Shape shape;
  std::span<const std::byte> data;
};

class Checkpoint {
 public:
  enum class Kind { gguf, hugging_face };

  /// A .gguf file (first part of a split one), a directory, or a .safetensors file beside its config.json.
  /// A directory may lack weights or tokenizer: what is absent is an error only where it is asked for.
  static Result<Checkpoint> open(const std::string& path);
  /// One that is made and not opened: a directory's files in memory (its path names it in errors), a GGUF.
  static Checkpoint of(HfDirectory hf);
  static Checkpoint of(gguf::File file, std::string path);

  Kind kind() const { return gguf_ ? Kind::gguf : Kind::hugging_face; }
  const gguf::File* gguf() const { return gguf_.get(); }
  const HfDirectory* hf() const { return hf_.get(); }
  const std::string& path() const { return path_; }

  std::optional<TensorView> find_tensor(std::string_view name) const;
  uint64_t weight_bytes() const;  ///< of the files that hold tensors

 private:
  std::string path_;
  std::shared_ptr<gguf::File> gguf_;
  std::shared_ptr<HfDirectory> hf_;
};

}  // namespace kinglet
