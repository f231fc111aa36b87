#include "cli/tokenize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>
#include <iterator>

#include "cli/command.h"
#include "cli/load_tokenizer.h"
#include "formats/json.h"
#include "host/error.h"

namespace kinglet::cli {
namespace {

/// Bytes of the well-formed UTF-8 character at the start of `text` that can be shown as it is, or 0.
size_t printable_char(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
  const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (size == 0 || size > text.size()) return 0;
  // A character that JSON's writer refuses is not well-formed; it is the one judge of that here.
  const std::string one(text.substr(0, size));
  const std::string dumped = Json(one).dump(-1, ' ', false, Json::error_handler_t::ignore);
  return dumped == '"' + one + '"' ? size : 0;
}

Status print_json(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  Json pieces = Json::array();
  for (const TokenId id : ids) pieces.push_back(tokenizer.piece(id));
  const Json out = {{"ids", ids}, {"pieces", pieces}, {"count", ids.size()}};
  fmt::print("{}\n", out.dump(-1, ' ', false, Json::error_handler_t::replace));
  return ok_status();
}

struct Words {
  CommonOptions common;
  std::string model, text;
  bool has_text = false, special = false, bos = false, jsonl = false;
};

Status tokenize(const Words& words) {
  KL_ASSIGN(const Tokenizer tokenizer, load_tokenizer(words.model));
  const TokenizeOptions options{words.special ? SpecialTokens::parse : SpecialTokens::as_text, words.bos};
  if (words.jsonl) return tokenize_json_lines(tokenizer, options, std::cin, std::cout);
  const std::string text =
      words.has_text ? words.text
                     : std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  KL_ASSIGN(const std::vector<TokenId> ids, tokenize_text(tokenizer, text, options));
  if (words.common.json) return print_json(tokenizer, ids);
  fmt::print("{}{} token{} ({})\n", token_table(tokenizer, ids), ids.size(), ids.size() == 1 ? "" : "s",
             tokenizer.description());
  return ok_status();
}

}  // namespace

Result<std::vector<TokenId>> tokenize_text(const Tokenizer& tokenizer, std::string_view text,
                                           const TokenizeOptions& options) {
  std::vector<TokenId> ids = tokenizer.encode(text, options.special);
  if (options.bos) {
    if (!tokenizer.bos()) return Status(Code::unsupported, "--bos: the model has no BOS token");
    ids.insert(ids.begin(), *tokenizer.bos());
  }
  return ids;
}

Status tokenize_json_lines(const Tokenizer& tokenizer, const TokenizeOptions& options, std::istream& in,
                           std::ostream& out) {
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    const auto text = parse_json(line);
    if (!text.ok() || !text->is_string()) {
      return error(Code::invalid_argument, "line {} of standard input is not a JSON string{}{}", number,
                   text.ok() ? "" : ": ", text.status().text());
    }
    KL_ASSIGN(const std::vector<TokenId> ids, tokenize_text(tokenizer, *text->get_ptr<const std::string*>(), options));
    out << fmt::format("[{}]\n", fmt::join(ids, ", "));
  }
  out.flush();
  return out ? ok_status() : Status(Code::io, "cannot write to standard output");
}

std::string quoted_piece(std::string_view bytes) {
  std::string out = "\"";
  while (!bytes.empty()) {
    const char c = bytes[0];
    size_t size = 1;
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if ((size = printable_char(bytes)) > 0) {
      out += bytes.substr(0, size);
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      size = 1;
    }
    bytes.remove_prefix(size);
  }
  return out + '"';
}

std::string token_table(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  size_t width = 0;
  for (const TokenId id : ids) width = std::max(width, fmt::formatted_size("{}", id));
  std::string out;
  for (const TokenId id : ids) {
    out += fmt::format("{:>{}}  {}{}\n", id, width, quoted_piece(tokenizer.piece(id)),
                       tokenizer.is_control(id) ? "  (control)" : "");
  }
  return out;
}

Action setup_tokenize(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_common(arguments, words->common);
  arguments.option("MODEL", words->model, "a name from `kinglet list`, a GGUF file or a Hugging Face directory")
      .required();
  Option text = arguments.option("TEXT", words->text, "the text (default: standard input)");
  arguments.flag("--special", words->special, "special tokens in the text are parsed; without it they are text");
  arguments.flag("--bos", words->bos, "begin with the model's BOS token");
  arguments.flag("--jsonl", words->jsonl,
                 "one JSON string a line from standard input, one JSON array of ids a line out");
  arguments.footer(
      "Examples:\n"
      "  kinglet tokenize qwen2.5-coder-0.5b \"Hello, world!\"\n"
      "  kinglet tokenize model.gguf --special \"<|im_start|>user\"\n"
      "  printf '\"one\"\\n\"two\"\\n' | kinglet tokenize model.gguf --jsonl");
  return [words, text] {
    words->has_text = text.given();
    return tokenize(*words);
  };
}

}  // namespace kinglet::cli
