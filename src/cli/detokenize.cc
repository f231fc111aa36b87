#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "cli/command.h"
#include "cli/load_tokenizer.h"
#include "formats/json.h"
#include "host/error.h"

namespace kinglet::cli {
namespace {

constexpr std::string_view kSeparators = " ,[]\n\r\t";

/// Ids out of "1 2 3", "1,2,3" or "[1, 2, 3]".
Status read_ids(std::string_view text, const Tokenizer& tokenizer, std::vector<TokenId>& ids) {
  for (size_t begin = text.find_first_not_of(kSeparators); begin != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    TokenId id = -1;
    const auto [stop, failure] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (failure != std::errc() || stop != word.data() + word.size() || id < 0 || id >= tokenizer.vocab_size()) {
      return error(Code::invalid_argument, "'{}' is no id of this vocabulary (0 to {})", word,
                   tokenizer.vocab_size() - 1);
    }
    ids.push_back(id);
    begin = text.find_first_not_of(kSeparators, end);
  }
  return ok_status();
}

struct Words {
  CommonOptions common;
  std::string model;
  std::vector<std::string> ids;
  bool special = false;
};

Status detokenize(const Words& words) {
  KL_ASSIGN(const Tokenizer tokenizer, load_tokenizer(words.model));
  std::vector<TokenId> ids;
  for (const std::string& word : words.ids) KL_TRY(read_ids(word, tokenizer, ids));
  if (words.ids.empty()) {
    KL_TRY(read_ids(std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()), tokenizer,
                    ids));
  }
  std::string text = tokenizer.decode(ids, words.special ? SpecialTokens::parse : SpecialTokens::as_text);
  if (words.common.json) {
    text = Json({{"text", text}}).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? ok_status() : Status(Code::io, "cannot write to standard output");
}

}  // namespace

Action setup_detokenize(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_common(arguments, words->common);
  arguments.option("MODEL", words->model, "a name from `kinglet list`, a GGUF file or a Hugging Face directory")
      .required();
  arguments.option("IDS", words->ids, "token ids, apart or with commas (default: standard input)");
  arguments.flag("--special", words->special, "print the text of special tokens too");
  arguments.footer("Example: kinglet detokenize qwen2.5-coder-0.5b 9707,11,1879,0");
  return [words] { return detokenize(*words); };
}

}  // namespace kinglet::cli
