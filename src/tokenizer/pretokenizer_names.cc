#include "tokenizer/pretokenizer_names.h"

#include <span>

#include "host/error.h"
#include "tokenizer/json_access.h"

namespace kinglet {
namespace {

// The patterns are those of the models' own tokenizer.json; where several are listed, each cuts what the one before
// left.
#define KINGLET_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define KINGLET_UPPERS R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define KINGLET_LOWERS R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define KINGLET_SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define KINGLET_ASCII_PUNCTUATION R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~])"

constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    KINGLET_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" KINGLET_SPACES;
constexpr std::string_view kQwen2 =
    KINGLET_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" KINGLET_SPACES;
constexpr std::string_view kQwen35 =
    KINGLET_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" KINGLET_SPACES;
constexpr std::string_view kGpt4o = R"([^\r\n\p{L}\p{N}]?)" KINGLET_UPPERS "*" KINGLET_LOWERS "+" KINGLET_CONTRACTIONS
                                    "?|"
                                    R"([^\r\n\p{L}\p{N}]?)" KINGLET_UPPERS "+" KINGLET_LOWERS "*" KINGLET_CONTRACTIONS
                                    "?|"
                                    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" KINGLET_SPACES;
constexpr std::string_view kTekken = R"([^\r\n\p{L}\p{N}]?)" KINGLET_UPPERS "*" KINGLET_LOWERS
                                     "+|"
                                     R"([^\r\n\p{L}\p{N}]?)" KINGLET_UPPERS "+" KINGLET_LOWERS
                                     "*|"
                                     R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" KINGLET_SPACES;
constexpr std::string_view kDeepSeek3 = KINGLET_ASCII_PUNCTUATION
    R"([A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" KINGLET_SPACES;
constexpr std::string_view kCjk = "[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view kDigit = R"(\p{N})", kDigits = R"(\p{N}+)", kThreeDigits = R"(\p{N}{1,3})";

#undef KINGLET_CONTRACTIONS
#undef KINGLET_UPPERS
#undef KINGLET_LOWERS
#undef KINGLET_SPACES
#undef KINGLET_ASCII_PUNCTUATION

struct Named {
  std::string_view names;  // separated by spaces
  std::string_view patterns[4];
  bool ignore_merges = false;
  bool adds_bos = false;
};

constexpr Named kNamed[] = {
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", {kLlama3}, true, true},
    {"dbrx smaug-bpe glm4 chatglm-bpe", {kLlama3}},
    {"qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 hunyuan megrez solar-open grok-2", {kQwen2}},
    {"qwen35", {kQwen35}},
    {"gpt-2 phi-2 mpt olmo jais trillion granite-docling jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code "
     "roberta-bpe gigachat a.x-4.0 mellum modern-bert exaone4",
     {kGpt2}},
    {"refact starcoder command-r smollm codeshell exaone minerva-7b mellum2", {kDigit, kGpt2}},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", {kGpt4o}},
    {"tekken", {kTekken}, true, true},
    {"deepseek-v3 hunyuan-dense joyai-llm", {kThreeDigits, kCjk, kDeepSeek3}},
    {"deepseek-coder", {"[\\r\\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDigit}},
    {"falcon", {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
    {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, kDigits, "[0-9][0-9][0-9]"}},
    {"bloom poro-chat gpt3-finnish", {R"( ?[^(\s|.,!?…。，、।۔،)]+)"}},
    {"viking", {R"( ?[^(\s|.,!?…。，、।۔،)]+)", kDigit}},
};

bool names_it(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const std::string_view one = names.substr(0, names.find(' '));
    if (one == name) return true;
    names.remove_prefix(std::min(names.size(), one.size() + 1));
  }
  return false;
}

const Named* find_named(std::string_view name) {
  for (const Named& named : kNamed)
    if (names_it(named.names, name)) return &named;
  return nullptr;
}

std::vector<std::string_view> patterns_of(const Named& named) {
  std::vector<std::string_view> out;
  for (const std::string_view pattern : named.patterns)
    if (!pattern.empty()) out.push_back(pattern);
  return out;
}

/// The patterns that a pre_tokenizer cuts by; false where it has a step of another kind.
bool collect_patterns(const Json& step, std::vector<std::string_view>& out) {
  const std::string_view type = json_string(step, "type");
  if (type == "Sequence") {
    for (const Json& inner : json_member(step, "pretokenizers"))
      if (!collect_patterns(inner, out)) return false;
    return true;
  }
  if (type == "Split" && json_string(step, "behavior") == "Isolated" && !json_bool(step, "invert", false)) {
    out.push_back(json_string(json_member(step, "pattern"), "Regex"));
    return !out.back().empty();
  }
  if (type == "Digits" && json_bool(step, "individual_digits", false)) {
    out.push_back(kDigit);
    return true;
  }
  if (type != "ByteLevel") return false;
  if (json_bool(step, "use_regex", true)) out.push_back(kGpt2);
  return true;
}

}  // namespace

Result<NamedPreTokenizer> make_named_pretokenizer(std::string_view name) {
  if (const Named* named = find_named(name)) {
    NamedPreTokenizer result{{}, named->ignore_merges, named->adds_bos};
    for (const std::string_view pattern : patterns_of(*named)) {
      if (pattern == kDigit) {
        result.steps.push_back(make_char_split(CharSplit::digits));
        continue;
      }
      KL_ASSIGN(auto step, make_regex_split(pattern, SplitBehavior::isolated, false));
      result.steps.push_back(std::move(step));
    }
    return result;
  }
  return error(Code::unsupported, "the pre-tokenizer \"{}\" (tokenizer.ggml.pre) is not known", name);
}

std::optional<PreTokenizerPatterns> patterns_of_pretokenizer(std::string_view name) {
  const Named* named = find_named(name);
  if (named == nullptr) return std::nullopt;
  return PreTokenizerPatterns{patterns_of(*named), named->ignore_merges};
}

std::string name_of_pretokenizer(const Json& pre_tokenizer, bool ignore_merges) {
  std::vector<std::string_view> patterns;
  if (!collect_patterns(pre_tokenizer, patterns)) return {};
  const Named* found = nullptr;
  for (const Named& named : kNamed) {
    if (patterns_of(named) != patterns) continue;
    if (found == nullptr || (found->ignore_merges != ignore_merges && named.ignore_merges == ignore_merges))
      found = &named;
  }
  return found == nullptr ? std::string() : std::string(found->names.substr(0, found->names.find(' ')));
}

}  // namespace kinglet
