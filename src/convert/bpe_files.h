// A byte-level BPE that was just trained, as the files of a model.
#pragma once

#include <string>

#include "convert/tokenizer_data.h"
#include "tokenizer/bpe_trainer.h"

namespace kinglet::convert {

struct BpeRoles {
  std::string pre = "llama-bpe";  ///< GGUF's name of the pre-tokenizer that the words were counted with
  std::string eos, bos, pad;      ///< special tokens, empty: none
  std::string chat_template;      ///< empty: none
};

/// `trained` with what the roles say; the first `special` tokens are control tokens. A BOS is added to every text where
/// there is one. Errors: invalid_argument where a role's token is none of the special ones.
Result<TokenizerData> tokenizer_from_bpe(TrainedBpe trained, size_t special, const BpeRoles& roles);

}  // namespace kinglet::convert
