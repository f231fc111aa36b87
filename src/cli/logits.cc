// kinglet logits: the model's raw output for given token ids. Needs no tokenizer.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/load_model.h"
#include "engine/score.h"
#include "formats/json.h"
#include "host/error.h"

namespace kinglet::cli {
namespace {

struct Words {
  CommonOptions common;
  ModelWords model;
  std::vector<TokenId> ids;
  size_t top = 5;
  int64_t chunk = 0;
  std::string out;
};

// Few rows at a time: a row of logits of a large vocabulary is a megabyte.
int64_t rows_at_a_time(const Words& words, int64_t vocabulary) {
  constexpr int64_t kFloats = int64_t{1} << 24;
  const int64_t most = std::clamp<int64_t>(kFloats / vocabulary, 1, 512);
  return words.chunk > 0 ? std::min(words.chunk, most) : most;
}

void print_row(const Words& words, int64_t position, std::span<const float> logits) {
  const auto top = most_probable(logits, words.top);
  if (words.common.json) {
    Json row = {{"position", position}, {"id", words.ids[static_cast<size_t>(position)]}, {"top", Json::array()}};
    for (const TokenScore& t : top) row["top"].push_back({t.id, t.log_probability});
    fmt::print("{}\n", to_text(row));
    return;
  }
  fmt::print("{:6} {:8} ", position, words.ids[static_cast<size_t>(position)]);
  for (const TokenScore& t : top) fmt::print("  {:>7} {:8.4f}", t.id, t.log_probability);
  fmt::print("\n");
}

Status write_logits(const std::string& path, const std::vector<float>& logits, int64_t T, int64_t V) {
  const safetensors::OutTensor tensor{"logits", DType::f32, {T, V}, std::as_bytes(std::span(logits))};
  return safetensors::write(path, {&tensor, 1});
}

Status run(const Words& words) {
  KL_ASSIGN(const LoadedModel loaded, load_model(words.model, words.common));
  const int64_t V = loaded.model->hyper().V, T = static_cast<int64_t>(words.ids.size());
  KL_ASSIGN(RunnerOptions options, runner_options(words.model, words.common));
  options.batch_tokens = options.outputs = std::min(T, rows_at_a_time(words, V));
  KL_ASSIGN(const auto runner, Runner::create(*loaded.model, options));
  if (T > runner->context())
    return error(Code::out_of_range, "{} ids do not fit into the context of {}", T, runner->context());
  KvSequence kv = runner->new_sequence();
  std::vector<float> all;
  if (!words.common.json && words.top > 0)
    fmt::print("{:>6} {:>8}   most probable next tokens and their log probabilities\n", "at", "id");
  for (int64_t done = 0; done < T;) {
    const int64_t count = std::min(runner->batch_tokens(), T - done);
    const BatchPart part{&kv, std::span(words.ids).subspan(static_cast<size_t>(done), static_cast<size_t>(count)),
                         Outputs::all, T > loaded.model->original_context()};
    KL_TRY(runner->run({&part, 1}));
    for (int64_t i = 0; i < count; ++i) {
      if (words.top > 0) print_row(words, done + i, runner->logits(i));
      if (!words.out.empty()) all.insert(all.end(), runner->logits(i).begin(), runner->logits(i).end());
    }
    done += count;
  }
  return words.out.empty() ? ok_status() : write_logits(words.out, all, T, V);
}

}  // namespace

Action setup_logits(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_common(arguments, words->common);
  add_model(arguments, words->model);
  add_cache(arguments, words->model);
  add_adapters(arguments, words->model);
  arguments.option("--ids", words->ids, "token ids, separated by commas").delimiter(',').required();
  arguments.option("--top", words->top, "how many of the most probable tokens to print for each position (0: none)")
      .show_default();
  arguments.option("--chunk", words->chunk, "evaluate this many tokens at a time (default: as many as fit)")
      .range(1, 1 << 20);
  arguments.option("--out", words->out, "write all logits to this .safetensors file, one f32 tensor `logits` (T, V)");
  arguments.footer("Example:\n  kinglet logits model.gguf --ids 1,2,3 --top 3 --out logits.safetensors");
  return [words] { return run(*words); };
}

}  // namespace kinglet::cli
