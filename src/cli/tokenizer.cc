// kinglet tokenizer train FILES... --vocab-size N --out DIR
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "cli/command.h"
#include "convert/bpe_files.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "host/interrupt.h"
#include "host/progress.h"
#include "tokenizer/bpe_trainer.h"
#include "tokenizer/pretokenizer_names.h"
#include "train/data_rows.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxTemplateBytes = uint64_t{4} << 20;

struct Words {
  CommonOptions common;
  std::string action;
  std::vector<std::string> files, special;
  std::string out, style = "llama3", eos = "<|endoftext|>", bos, pad, template_file;
  int32_t vocabulary = 0;
  int64_t min_count = 2;
  bool strict = false;
};

/// Special tokens in the order of their ids, each once.
std::vector<std::string> special_tokens(const Words& words) {
  std::vector<std::string> out;
  const auto add = [&out](const std::string& text) {
    if (!text.empty() && std::find(out.begin(), out.end(), text) == out.end()) out.push_back(text);
  };
  add(words.eos);
  add(words.bos);
  add(words.pad);
  for (const std::string& text : words.special) add(text);
  return out;
}

Status count_words(const Words& words, train::RowProblems& problems, WordCounts& counts) {
  train::RowReader reader(words.files, problems);
  Progress progress("reading", 0);
  for (;;) {
    KL_ASSIGN(const auto row, reader.next());
    if (!row) break;
    const auto texts = train::texts_of(*row);
    if (texts.empty()) KL_TRY(problems.add(row->place(), Status(Code::corrupt, "a row without text")));
    for (const std::string& text : texts) counts.add(text);
    progress.update(counts.bytes());
    if (InterruptScope::requested()) return Status(Code::cancelled, "interrupted");
  }
  if (counts.bytes() > 0) return ok_status();
  if (problems.count() > 0)
    return error(Code::corrupt, "no text to train on; the first problem: {}", problems.first()[0]);
  return Status(Code::corrupt, "no text to train on");
}

Result<TrainedBpe> learn(const Words& words, const WordCounts& counts) {
  Progress progress("merging", static_cast<uint64_t>(words.vocabulary), Progress::Unit::items);
  BpeTrainOptions options{
      .vocabulary = words.vocabulary, .min_count = words.min_count, .special = special_tokens(words), .progress = {}};
  options.progress = [&progress](int32_t tokens) {
    progress.update(static_cast<uint64_t>(tokens));
    return !InterruptScope::requested();
  };
  return train_bpe(counts, options);
}

Status write_files(const Words& words, convert::TokenizerData data) {
  KL_ASSIGN(const auto files, convert::tokenizer_to_hf(data));
  KL_TRY(make_directories(words.out));
  for (const convert::TextFile& file : files) KL_TRY(write_file(join_path(words.out, file.name), file.content));
  return ok_status();
}

void report(const Words& words, const train::RowProblems& problems, const Json& figures) {
  if (problems.count() > 0) {
    fmt::print(stderr, "{} malformed rows left out:\n", problems.count());
    for (const std::string& one : problems.first()) fmt::print(stderr, "  {}\n", one);
  }
  if (words.common.json) {
    fmt::print("{}\n", to_text(figures));
    return;
  }
  fmt::print("{}: {} tokens ({} merges) from {:.2f} MB in {:.1f} s; {:.3f} bytes a token on this text\n", words.out,
             figures["tokens"].get<int64_t>(), figures["merges"].get<int64_t>(), figures["bytes"].get<double>() / 1e6,
             figures["seconds"].get<double>(), figures["bytes_per_token"].get<double>());
  if (figures["tokens"] < words.vocabulary) fmt::print("no pair is left that occurs {} times\n", words.min_count);
}

Status train_tokenizer(const Words& words) {
  const auto start = std::chrono::steady_clock::now();
  const InterruptScope interrupts;
  convert::BpeRoles roles{.pre = words.style == "gpt2" ? "gpt-2" : "llama-bpe",
                          .eos = words.eos,
                          .bos = words.bos,
                          .pad = words.pad,
                          .chat_template = {}};
  if (!words.template_file.empty()) {
    KL_ASSIGN(roles.chat_template, read_file(words.template_file, kMaxTemplateBytes));
  }
  KL_ASSIGN(const NamedPreTokenizer pre, make_named_pretokenizer(roles.pre));
  WordCounts counts(pre.steps);
  train::RowProblems problems(words.strict);
  KL_TRY(count_words(words, problems, counts));
  KL_ASSIGN(TrainedBpe trained, learn(words, counts));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const Json figures{{"folder", words.out},
                     {"tokens", trained.tokens.size()},
                     {"merges", trained.merges.size()},
                     {"words", counts.words()},
                     {"bytes", counts.bytes()},
                     {"seconds", seconds.count()},
                     {"malformed", problems.count()},
                     {"bytes_per_token", static_cast<double>(counts.bytes()) /
                                             static_cast<double>(std::max<int64_t>(trained.training_tokens, 1))}};
  KL_ASSIGN(convert::TokenizerData data,
            convert::tokenizer_from_bpe(std::move(trained), special_tokens(words).size(), roles));
  KL_TRY(write_files(words, std::move(data)));
  report(words, problems, figures);
  return ok_status();
}

}  // namespace

Action setup_tokenizer(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_common(arguments, words->common);
  arguments.option("ACTION", words->action, "train").required().one_of({"train"});
  arguments.option("FILES", words->files, "text: .txt, .jsonl, .tsv, each also as .gz or .zst").required();
  arguments.option("-o,--out", words->out, "folder for tokenizer.json and tokenizer_config.json").required();
  arguments.option("-n,--vocab-size", words->vocabulary, "tokens in all: special ones, 256 bytes, merges")
      .required()
      .range(256, 1 << 22);
  arguments.option("--style", words->style, "how words are cut: llama3 or gpt2")
      .show_default()
      .one_of({"llama3", "gpt2"});
  arguments.option("--min-count", words->min_count, "a pair that occurs less often becomes no token")
      .show_default()
      .range(int64_t{1}, int64_t{1} << 40);
  arguments.option("--eos", words->eos, "the token that ends a text").show_default();
  arguments.option("--bos", words->bos, "the token that begins a text (default: none)");
  arguments.option("--pad", words->pad, "the token that pads (default: none; Kinglet never pads)");
  arguments
      .option("--special", words->special, "another special token, e.g. \"<|im_start|>\"; may be given several times")
      .repeated();
  arguments.option("--template", words->template_file, "a chat template to write beside it");
  arguments.flag("--strict", words->strict, "stop at the first malformed row");
  arguments.footer(
      "Examples:\n"
      "  kinglet tokenizer train books/*.txt.gz --vocab-size 4096 --out ./tokenizer\n"
      "  kinglet tokenizer train chats.jsonl --vocab-size 8192 --special \"<|im_start|>\" --eos \"<|im_end|>\" -o "
      "./tokenizer");
  return [words] { return train_tokenizer(*words); };
}

}  // namespace kinglet::cli
