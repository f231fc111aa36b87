// kinglet merge MODEL ADAPTER OUT: an adapter into the weights, held against the live adapter.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>

#include "cli/load_model.h"
#include "convert/convert.h"
#include "engine/score.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "host/progress.h"
#include "hub/resolve.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{16} << 20;
constexpr int64_t kRows = 32;  // logits that are held at a time

/// What both models read where no other text is given: prose, a conversation, numbers, code.
constexpr char kText[] =
    "It was a bright cold day in spring, and the harbour was full of boats that nobody had asked for. The old man who "
    "kept the light said that he had seen worse, though he could not remember when. \"How many are there?\" asked the "
    "girl. \"Forty-two,\" he answered, \"and three of them are mine.\"\n\n"
    "Question: What is the capital of France, and how many people live there?\n"
    "Answer: Paris. About 2.1 million people live in the city, and 11 million in the region around it.\n\n"
    "def mean(values):\n    total = 0\n    for v in values:\n        total += v\n    return total / len(values)\n\n"
    "The movie was slow, but it was never dull; its actors made the most of a thin story, and I would watch it again.";

struct Words {
  CommonOptions common;
  ModelWords model;
  std::string out, type = "f16", text_file;
  double most_divergence = -1;
  int64_t tokens = 512;
};

struct Choice {
  std::optional<DType> type;
  double most_divergence;  ///< in nats a token
};

/// Types with the divergence that their rounding may bring, where the user names none.
Result<Choice> parse_choice(const Words& words) {
  constexpr std::pair<DType, double> kTypes[] = {
      {DType::f32, 0.005}, {DType::f16, 0.005}, {DType::bf16, 0.02}, {DType::q8_0, 0.02}};
  Choice choice{{}, 0.1};
  if (words.type != "keep") {
    choice.type = dtype_from_name(words.type);
    const auto* known =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return choice.type == t.first; });
    if (known == std::end(kTypes))
      return error(Code::invalid_argument, "--type is f32, f16, bf16, q8_0 or keep, not '{}'", words.type);
    choice.most_divergence = known->second;
  }
  if (words.most_divergence >= 0) choice.most_divergence = words.most_divergence;
  return choice;
}

Result<std::unique_ptr<Model>> open_model(const std::string& path, std::vector<AdapterChoice> adapters,
                                          const Words& words, Ledger& ledger) {
  return Model::load(
      path, {.kernels = words.model.reference ? "ref" : "", .packing_folder = {}, .adapters = std::move(adapters)},
      ledger);
}

Result<std::vector<TokenId>> test_tokens(const Words& words, const Checkpoint& base) {
  std::string text = kText;
  if (!words.text_file.empty()) {
    KL_ASSIGN(text, read_file(words.text_file, kMaxTextBytes));
  }
  std::vector<TokenId> ids;
  if (const auto tokenizer = Tokenizer::load(base); tokenizer.ok()) {
    ids = tokenizer->encode(text);
    if (tokenizer->bos() && tokenizer->adds_bos()) ids.insert(ids.begin(), *tokenizer->bos());
  } else {  // any tokens show what rounding does
    KL_ASSIGN(const ModelSpec spec, read_model_spec(base));
    for (size_t i = 0; i < 256; ++i) ids.push_back(static_cast<TokenId>(i * 7919 % static_cast<size_t>(spec.hyper.V)));
  }
  if (static_cast<int64_t>(ids.size()) > words.tokens) ids.resize(static_cast<size_t>(words.tokens));
  return ids;
}

/// KL(live, merged) of one token's distribution, in nats.
double divergence(std::span<const float> live, std::span<const float> merged) {
  const double p_sum = log_sum_exp(live), q_sum = log_sum_exp(merged);
  double out = 0;
  for (size_t v = 0; v < live.size(); ++v) {
    const double p = static_cast<double>(live[v]) - p_sum, q = static_cast<double>(merged[v]) - q_sum;
    out += std::exp(p) * (p - q);
  }
  return out;
}

struct Divergence {
  double mean = 0, most = 0;
  int64_t tokens = 0, same_best = 0;
};

/// Both models read the tokens, a few rows of logits at a time.
Result<Divergence> measure(const Model& live, const Model& merged, std::span<const TokenId> tokens,
                           const Words& words) {
  const RunnerOptions options{.threads = words.common.threads,
                              .context = static_cast<int64_t>(tokens.size()) + kRows,
                              .batch_tokens = kRows,
                              .outputs = kRows};
  KL_ASSIGN(const auto a, Runner::create(live, options));
  KL_ASSIGN(const auto b, Runner::create(merged, options));
  KvSequence of_a = a->new_sequence(), of_b = b->new_sequence();
  Divergence out;
  for (size_t done = 0; done < tokens.size(); done += kRows) {
    const auto part = tokens.subspan(done, std::min<size_t>(kRows, tokens.size() - done));
    const BatchPart for_a{&of_a, part, Outputs::all, false}, for_b{&of_b, part, Outputs::all, false};
    KL_TRY(a->run({&for_a, 1}));
    KL_TRY(b->run({&for_b, 1}));
    for (int64_t t = 0; t < static_cast<int64_t>(part.size()); ++t) {
      const double d = divergence(a->logits(t), b->logits(t));
      out.mean += d;
      out.most = std::max(out.most, d);
      out.same_best += best_token(a->logits(t)) == best_token(b->logits(t));
      ++out.tokens;
    }
  }
  out.mean /= static_cast<double>(std::max<int64_t>(out.tokens, 1));
  return out;
}

/// All adapters as one: several pairs of one weight lie side by side in a greater rank. (DoRA's have a weight to themselves.)
Adapter join(std::vector<Adapter> adapters) {
  Adapter out;
  for (Adapter& adapter : adapters) {
    for (LoraPair& pair : adapter.pairs) {
      const auto same =
          std::find_if(out.pairs.begin(), out.pairs.end(), [&](const LoraPair& p) { return p.base == pair.base; });
      for (float& v : pair.b) v *= pair.scale;
      pair.scale = 1;
      if (same == out.pairs.end()) {
        out.pairs.push_back(std::move(pair));
        continue;
      }
      const int64_t N = static_cast<int64_t>(pair.b.size()) / pair.R, R = same->R + pair.R;
      std::vector<float> b;
      for (int64_t n = 0; n < N; ++n) {
        b.insert(b.end(), same->b.begin() + n * same->R, same->b.begin() + (n + 1) * same->R);
        b.insert(b.end(), pair.b.begin() + n * pair.R, pair.b.begin() + (n + 1) * pair.R);
      }
      same->a.insert(same->a.end(), pair.a.begin(), pair.a.end());
      same->b = std::move(b);
      same->R = R;
    }
  }
  return out;
}

Status write_merged(const Checkpoint& base, const Adapter& adapter, const Choice& choice, const std::string& path,
                    bool gguf) {
  Progress bar("merging", 0);
  convert::ConvertOptions options{.type = choice.type, .name = {}, .progress = {}, .adapter = &adapter};
  options.progress = [&bar](uint64_t done, uint64_t total) {
    bar.set_total(total);
    bar.update(done);
  };
  return gguf ? convert::to_gguf(base, path, options).status() : convert::to_hugging_face(base, path, options);
}

void remove_path(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

void report(const Words& words, const Divergence& d, const Choice& choice) {
  const double same = static_cast<double>(d.same_best) / static_cast<double>(std::max<int64_t>(d.tokens, 1));
  if (words.common.json) {
    fmt::print("{}\n", to_text(Json{{"out", words.out},
                                    {"type", words.type},
                                    {"kl_mean", d.mean},
                                    {"kl_most", d.most},
                                    {"same_best", same},
                                    {"tokens", d.tokens},
                                    {"bound", choice.most_divergence}}));
  } else {
    fmt::print(
        "{}: KL divergence from the live adapter {:.2e} nats a token (at most {:.2e}), the same best token {:.1f}% of "
        "{} times\n",
        words.out, d.mean, d.most, 100 * same, d.tokens);
  }
}

Status merge(const Words& words) {
  KL_ASSIGN(const Choice choice, parse_choice(words));
  KL_ASSIGN(const std::string path, hub::resolve_model(words.model.name));
  KL_ASSIGN(const Checkpoint base, Checkpoint::open(path));
  KL_ASSIGN(const ModelSpec spec, read_model_spec(base));
  KL_ASSIGN(const std::vector<AdapterChoice> choices, adapter_choices(words.model));
  std::vector<Adapter> adapters;
  for (const AdapterChoice& one : choices) {
    KL_ASSIGN(Adapter adapter, read_adapter(one.path, spec, base, one.weight));
    adapters.push_back(std::move(adapter));
  }
  const bool gguf = words.out.ends_with(".gguf");
  if (std::filesystem::exists(words.out)) return error(Code::invalid_argument, "{} is there already", words.out);
  const std::string unchecked = words.out + (gguf ? ".unchecked.gguf" : ".unchecked");
  remove_path(unchecked);
  const Adapter joined = join(std::move(adapters));
  KL_TRY(write_merged(base, joined, choice, unchecked, gguf));
  const auto measured = [&]() -> Result<Divergence> {
    Ledger ledger;
    KL_ASSIGN(const std::vector<TokenId> tokens, test_tokens(words, base));
    KL_ASSIGN(const auto live, open_model(path, choices, words, ledger));
    KL_ASSIGN(const auto merged, open_model(unchecked, {}, words, ledger));
    return measure(*live, *merged, tokens, words);
  }();
  if (!measured.ok() || !(measured->mean <= choice.most_divergence)) {
    remove_path(unchecked);
    KL_TRY(measured.status());
    return error(Code::out_of_range,
                 "the merged model is {:.3g} nats a token from the live adapter and the bound is {:.3g}: nothing was "
                 "written; choose a wider --type, or allow it with --max-kl",
                 measured->mean, choice.most_divergence);
  }
  std::error_code failed;
  std::filesystem::rename(unchecked, words.out, failed);
  if (failed) return error(Code::io, "cannot write {}: {}", words.out, failed.message());
  report(words, *measured, choice);
  return ok_status();
}

}  // namespace

Action setup_merge(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_model(arguments, words->model);
  arguments
      .option("ADAPTER", words->model.adapters, "a PEFT directory or a GGUF adapter, or either =SCALE; may be several")
      .required();
  arguments.option("-o,--out", words->out, "a name that ends in .gguf, or a directory to make").required();
  arguments
      .option("--type", words->type,
              "of the merged weights: f32, f16, bf16, q8_0, or keep (each requantized to its own)")
      .show_default();
  arguments.option("--text", words->text_file,
                   "what both models read to be compared (default: a text of Kinglet's own)");
  arguments.option("--tokens", words->tokens, "of that text").show_default().range(int64_t{2}, int64_t{1} << 20);
  arguments
      .option("--max-kl", words->most_divergence,
              "refuse beyond this KL divergence in nats a token (default: 0.005 for f32 and f16, 0.02 for bf16 and "
              "q8_0, 0.1 for keep)")
      .non_negative();
  add_common(arguments, words->common);
  arguments.footer(
      "Adds the adapter's products to the weights, compares the result with the adapter as it runs beside its base, "
      "and keeps\n"
      "it only where the two agree.\n\n"
      "Example:\n"
      "  kinglet merge qwen2.5-coder-0.5b ./tuned --out tuned-q4.gguf --type keep");
  return [words] { return merge(*words); };
}

}  // namespace kinglet::cli
