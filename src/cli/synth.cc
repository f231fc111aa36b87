// kinglet synth PRESET OUT: a random-weight model of a published shape.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "convert/synth.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "host/progress.h"
#include "host/threads.h"

namespace kinglet::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string preset, out, type = "q4_k";
  uint64_t seed = 1;
  bool list = false;
};

Status list_presets(bool json) {
  KL_ASSIGN(const auto all, convert::presets());
  for (const convert::Preset& p : all) {
    if (json) {
      fmt::print("{}\n", to_text(Json{{"preset", p.name}, {"source", p.source}}));
    } else {
      fmt::print("{:<18} {}\n", p.name, p.source);
    }
  }
  return ok_status();
}

Status run(const Options& o) {
  if (o.list) return list_presets(o.common.json);
  if (o.preset.empty() || o.out.empty())
    return Status(Code::invalid_argument, "needs a PRESET and an OUT file, or --list");
  KL_ASSIGN(const convert::Preset preset, convert::find_preset(o.preset));
  const auto type = dtype_from_name(o.type);
  if (!type) return error(Code::invalid_argument, "unknown type '{}'", o.type);
  ThreadPool pool(o.common.threads > 0 ? o.common.threads : ThreadPool::available());
  Progress bar("writing", 0);
  convert::SynthOptions options{.type = *type, .seed = o.seed, .parallel = pool.parallel(), .progress = show_on(bar)};
  KL_TRY(convert::synthesize(preset, o.out, options));
  KL_ASSIGN(const MappedFile written, MappedFile::open(o.out));
  if (o.common.json) {
    fmt::print(
        "{}\n",
        to_text(
            Json{{"file", o.out}, {"preset", preset.name}, {"type", name(*type)}, {"bytes", written.bytes().size()}}));
  } else {
    fmt::print("{}: {} at {}, {:.2f} GB\n", o.out, preset.name, name(*type),
               static_cast<double>(written.bytes().size()) / 1e9);
  }
  return ok_status();
}

}  // namespace

Action setup_synth(Arguments arguments) {
  const auto o = std::make_shared<Options>();
  add_common(arguments, o->common);
  arguments.option("preset", o->preset, "shape to take; --list names them");
  arguments.option("out", o->out, "GGUF file to write");
  arguments.option("--type", o->type, "type of the weights: q4_k, q8_0, f16, ...").show_default();
  arguments.option("--seed", o->seed, "the same seed gives the same file").show_default();
  arguments.flag("--list", o->list, "list the presets and where their shapes are published");
  arguments.footer("Example:\n  kinglet synth mistral-7b-v0.1 mistral.gguf --type q4_k");
  return [o] { return run(*o); };
}

}  // namespace kinglet::cli
