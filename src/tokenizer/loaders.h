// The ways into a Tokenizer: one file for each format.
#pragma once

#include <memory>
#include <string_view>

#include "base/status.h"
#include "tokenizer/tokenizer_impl.h"

namespace kinglet {

using LoadedTokenizer = Result<std::unique_ptr<Tokenizer::Impl>>;

LoadedTokenizer load_gguf_tokenizer(const gguf::File& file);
LoadedTokenizer load_tokenizer_json(const Json& tokenizer, const Json& config);
LoadedTokenizer load_sentencepiece(std::string_view model_bytes);

/// What a tokenizer.model says beside its pieces (TrainerSpec and NormalizerSpec of sentencepiece_model.proto).
struct SentencePieceSpec {
  int64_t model_type = 1;  ///< 1 unigram, 2 BPE, 3 word, 4 char
  bool byte_fallback = false;
  int64_t unknown = 0, bos = 1, eos = 2;  ///< ids; -1: none
  bool space_as_suffix = false;
  SentencePieceNormalizerOptions normalizer;
};
/// Errors: corrupt.
Result<SentencePieceSpec> read_sentencepiece_spec(std::string_view model_bytes);

/// Applies tokenizer_config.json: begin and end tokens, whether they are added, the chat template.
void apply_tokenizer_config(const Json& config, Tokenizer::Impl& impl);

}  // namespace kinglet
