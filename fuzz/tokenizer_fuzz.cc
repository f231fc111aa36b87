// A vocabulary of any bytes (tokenizer.json, SentencePiece's protobuf, GGUF), and a text of any bytes through it: an
// error, or ids of that vocabulary that decode. A tokenizer.json goes to GGUF's form and back too.
//
// The input: a byte that chooses the format, a byte for the length of the text, the text, the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "convert/tokenizer_data.h"
#include "formats/hf_directory.h"
#include "formats/json.h"
#include "tokenizer/tokenizer.h"

namespace {

using kinglet::SpecialTokens;
using kinglet::Tokenizer;

kinglet::Result<Tokenizer> load(uint8_t format, std::string_view file) {
  if (format % 3 == 0) {
    KL_ASSIGN(const kinglet::Json json, kinglet::parse_json(file));
    return Tokenizer::from_tokenizer_json(json, json);
  }
  if (format % 3 == 1) return Tokenizer::from_sentencepiece(file);
  KL_ASSIGN(const auto gguf, kinglet::gguf::File::parse(std::as_bytes(std::span(file))));
  return Tokenizer::from_gguf(gguf);
}

void convert(std::string_view file) {
  auto json = kinglet::parse_json(file);
  if (!json.ok()) return;
  kinglet::HfDirectory hf;
  hf.tokenizer = hf.tokenizer_config = hf.config = *std::move(json);
  const auto data = kinglet::convert::tokenizer_from_hf(hf, 300);
  if (!data.ok()) {
    if (data.status().text().empty()) std::abort();
    return;
  }
  const auto files = kinglet::convert::tokenizer_to_hf(*data);
  if (!files.ok() && files.status().text().empty()) std::abort();
}

void check(const Tokenizer& tokenizer, std::string_view text, SpecialTokens special) {
  const auto ids = tokenizer.encode(text, special);
  for (const kinglet::TokenId id : ids) {
    if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
  }
  if (tokenizer.encode(text, special) != ids) std::abort();
  tokenizer.decode(ids, special);
  kinglet::StreamDecoder stream(tokenizer, special);
  for (const kinglet::TokenId id : ids) stream.push(id);
  stream.flush();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string_view text = rest.substr(0, data[1]);
  if (data[0] % 3 == 0) convert(rest.substr(text.size()));
  const auto tokenizer = load(data[0], rest.substr(text.size()));
  if (!tokenizer.ok()) {
    if (tokenizer.status().text().empty()) std::abort();
    return 0;
  }
  check(*tokenizer, text, SpecialTokens::as_text);
  check(*tokenizer, text, SpecialTokens::parse);
  return 0;
}
