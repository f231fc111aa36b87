#include "convert/bpe_files.h"

#include <algorithm>

#include "host/error.h"

namespace kinglet::convert {

Result<TokenizerData> tokenizer_from_bpe(TrainedBpe trained, size_t special, const BpeRoles& roles) {
  TokenizerData data;
  data.model = "gpt2";
  data.pre = roles.pre;
  data.types.assign(trained.tokens.size(), static_cast<int32_t>(TokenType::normal));
  std::fill_n(data.types.begin(), special, static_cast<int32_t>(TokenType::control));
  data.tokens = std::move(trained.tokens);
  data.merges = std::move(trained.merges);
  for (const auto& [role, text] : {std::pair{"bos", &roles.bos}, {"eos", &roles.eos}, {"padding", &roles.pad}}) {
    if (text->empty()) continue;
    const auto end = data.tokens.begin() + static_cast<ptrdiff_t>(special);
    const auto at = std::find(data.tokens.begin(), end, *text);
    if (at == end) return error(Code::invalid_argument, "{} is none of the special tokens", *text);
    data.set_special(role, at - data.tokens.begin());
  }
  data.set_add("bos", !roles.bos.empty());
  data.chat_template = roles.chat_template;
  return data;
}

}  // namespace kinglet::convert
