// kinglet convert SRC DST: between GGUF files and Hugging Face directories.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "convert/convert.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/ledger.h"
#include "host/progress.h"

namespace kinglet::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string source, destination, type = "keep", name, split;
};

Result<std::optional<DType>> parse_type(const std::string& text) {
  if (text == "keep") return std::optional<DType>();
  const auto type = dtype_from_name(text);
  for (const DType t : {DType::f32, DType::f16, DType::bf16, DType::q8_0})
    if (type == t) return type;
  return error(Code::invalid_argument, "'{}' is no type to convert to; f32, f16, bf16, q8_0 and keep are", text);
}

Status run(const Options& o) {
  Progress bar("converting", 0);
  convert::ConvertOptions options{.type = {}, .name = o.name, .progress = show_on(bar)};
  KL_ASSIGN(options.type, parse_type(o.type));
  if (!o.split.empty()) {
    KL_ASSIGN(options.split_bytes, parse_bytes(o.split));
  }
  KL_ASSIGN(const Checkpoint source, Checkpoint::open(o.source));
  std::string file = o.destination;
  if (o.destination.ends_with(".gguf")) {
    KL_ASSIGN(file, convert::to_gguf(source, o.destination, options));
  } else {
    KL_TRY(convert::to_hugging_face(source, o.destination, options));
  }
  KL_ASSIGN(const Checkpoint written, Checkpoint::open(file));
  if (o.common.json) {
    fmt::print("{}\n", to_text(Json{{"file", file}, {"type", o.type}, {"bytes", written.weight_bytes()}}));
  } else {
    fmt::print("{}: {:.1f} MB\n", file, static_cast<double>(written.weight_bytes()) / 1e6);
  }
  return ok_status();
}

}  // namespace

Action setup_convert(Arguments arguments) {
  const auto o = std::make_shared<Options>();
  add_common(arguments, o->common);
  arguments.option("source", o->source, "GGUF file or Hugging Face directory").required();
  arguments.option("destination", o->destination, "a name that ends in .gguf, or a directory to make").required();
  arguments.option("--type", o->type, "type of the weights: f32, f16, bf16, q8_0 (GGUF only), or keep").show_default();
  arguments.option("--name", o->name, "the model's name in the GGUF");
  arguments.option("--split", o->split,
                   "largest size of a GGUF file, e.g. 2G: a larger model goes into NAME-00001-of-0000N.gguf and so on");
  arguments.footer(
      "Examples:\n  kinglet convert ./Qwen2.5-0.5B qwen.gguf --type q8_0\n  kinglet convert mistral.gguf parts.gguf "
      "--split 2G");
  return [o] { return run(*o); };
}

}  // namespace kinglet::cli
