#include "tokenizer/hf_steps.h"

#include <optional>

#include "formats/base64.h"
#include "host/error.h"
#include "tokenizer/json_access.h"

namespace kinglet {
namespace {

constexpr int kMaxNesting = 16;
constexpr std::string_view kGpt2Regex = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Status add_replace(const Json& json, HfSteps& steps) {
  const Json& pattern = json_member(json, "pattern");
  const std::string content(json_string(json, "content"));
  if (json_member(pattern, "String").is_string()) {
    steps.normalizers.push_back(make_replace(std::string(json_string(pattern, "String")), content));
    return ok_status();
  }
  KL_ASSIGN(auto step, make_regex_replace(json_string(pattern, "Regex"), content));
  steps.normalizers.push_back(std::move(step));
  return ok_status();
}

std::unique_ptr<Normalizer> bert_normalizer(const Json& json) {
  BertNormalizerOptions options;
  options.clean_text = json_bool(json, "clean_text", true);
  options.chinese_chars = json_bool(json, "handle_chinese_chars", true);
  options.lowercase = json_bool(json, "lowercase", true);
  options.strip_accents = json_bool(json, "strip_accents", options.lowercase);  // null follows lowercase
  return make_bert_normalizer(options);
}

std::optional<NormalForm> normal_form(std::string_view type) {
  if (type == "NFC") return NormalForm::nfc;
  if (type == "NFD") return NormalForm::nfd;
  if (type == "NFKC") return NormalForm::nfkc;
  if (type == "NFKD") return NormalForm::nfkd;
  return std::nullopt;
}

Status add_normalizer(const Json& json, HfSteps& steps, int depth) {
  if (json.is_null()) return ok_status();
  if (depth > kMaxNesting) return Status(Code::corrupt, "normalizer: nested too deep");
  const std::string_view type = json_string(json, "type");
  if (type == "Sequence") {
    for (const Json& step : json_member(json, "normalizers")) KL_TRY(add_normalizer(step, steps, depth + 1));
    return ok_status();
  }
  if (type == "Replace") return add_replace(json, steps);
  if (type == "Precompiled") {
    auto charsmap = decode_base64(json_string(json, "precompiled_charsmap"));
    if (!charsmap) return Status(Code::corrupt, "normalizer: precompiled_charsmap is not base64");
    KL_ASSIGN(auto step, make_charsmap_normalizer(*std::move(charsmap)));
    steps.normalizers.push_back(std::move(step));
    return ok_status();
  }
  if (type == "Prepend") {
    steps.normalizers.push_back(make_prepend(std::string(json_string(json, "prepend"))));
    steps.prefix_space = steps.prefix_each = true;
  } else if (const auto form = normal_form(type)) {
    steps.normalizers.push_back(make_unicode_normalizer(*form));
  } else if (type == "Lowercase") {
    steps.normalizers.push_back(make_lowercase());
  } else if (type == "StripAccents") {
    steps.normalizers.push_back(make_strip_accents());
  } else if (type == "Strip") {
    steps.normalizers.push_back(make_strip(json_bool(json, "strip_left", true), json_bool(json, "strip_right", true)));
  } else if (type == "Nmt") {
    steps.normalizers.push_back(make_nmt());
  } else if (type == "BertNormalizer") {
    steps.normalizers.push_back(bert_normalizer(json));
  } else {
    return error(Code::unsupported, "tokenizer.json: the normalizer \"{}\" is not known", type);
  }
  return ok_status();
}

Result<SplitBehavior> split_behavior(const Json& json) {
  const std::string_view name = json_string(json, "behavior");
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  return error(Code::unsupported, "tokenizer.json: the split behavior \"{}\" is not known", name);
}

Status add_split(const Json& json, HfSteps& steps) {
  KL_ASSIGN(const SplitBehavior behavior, split_behavior(json));
  const bool invert = json_bool(json, "invert", false);
  const Json& pattern = json_member(json, "pattern");
  if (json_member(pattern, "String").is_string()) {
    steps.pretokenizers.push_back(make_string_split(std::string(json_string(pattern, "String")), behavior, invert));
    return ok_status();
  }
  KL_ASSIGN(auto step, make_regex_split(json_string(pattern, "Regex"), behavior, invert));
  steps.pretokenizers.push_back(std::move(step));
  return ok_status();
}

Status add_byte_level(const Json& json, HfSteps& steps) {
  steps.byte_level = true;
  if (json_bool(json, "add_prefix_space", true)) {
    steps.pretokenizers.push_back(make_prefix_space());
    steps.prefix_space = steps.prefix_each = true;
  }
  if (!json_bool(json, "use_regex", true)) return ok_status();
  KL_ASSIGN(auto step, make_regex_split(kGpt2Regex, SplitBehavior::isolated, false));
  steps.pretokenizers.push_back(std::move(step));
  return ok_status();
}

Status add_metaspace(const Json& json, HfSteps& steps) {
  const std::string_view scheme = json_string(json, "prepend_scheme");
  Prepend prepend = json_bool(json, "add_prefix_space", true) ? Prepend::always : Prepend::never;
  if (scheme == "always") prepend = Prepend::always;
  if (scheme == "first") prepend = Prepend::first;
  if (scheme == "never") prepend = Prepend::never;
  steps.prefix_space = prepend != Prepend::never;
  steps.prefix_each = prepend == Prepend::always;
  const Json& mark = json_member(json, "replacement");
  steps.pretokenizers.push_back(make_metaspace(mark.is_string() ? std::string(json_string(mark)) : "\xE2\x96\x81",
                                               prepend, json_bool(json, "split", true)));
  return ok_status();
}

Status add_pretokenizer(const Json& json, HfSteps& steps, int depth) {
  if (json.is_null()) return ok_status();
  if (depth > kMaxNesting) return Status(Code::corrupt, "pre_tokenizer: nested too deep");
  const std::string_view type = json_string(json, "type");
  if (type == "Sequence") {
    for (const Json& step : json_member(json, "pretokenizers")) KL_TRY(add_pretokenizer(step, steps, depth + 1));
    return ok_status();
  }
  if (type == "Split") return add_split(json, steps);
  if (type == "ByteLevel") return add_byte_level(json, steps);
  if (type == "Metaspace") return add_metaspace(json, steps);
  auto& list = steps.pretokenizers;
  if (type == "BertPreTokenizer") {
    list.push_back(make_char_split(CharSplit::bert));
  } else if (type == "Whitespace") {
    list.push_back(make_char_split(CharSplit::words));
  } else if (type == "WhitespaceSplit") {
    list.push_back(make_char_split(CharSplit::whitespace));
  } else if (type == "Digits") {
    list.push_back(
        make_char_split(json_bool(json, "individual_digits", false) ? CharSplit::digits : CharSplit::digit_runs));
  } else if (type == "Punctuation") {
    const std::string_view behavior = json_string(json, "behavior");
    if (!behavior.empty() && behavior != "Isolated") {
      return error(Code::unsupported, "tokenizer.json: Punctuation with behavior \"{}\"", behavior);
    }
    list.push_back(make_char_split(CharSplit::punctuation));
  } else if (type == "CharDelimiterSplit") {
    list.push_back(make_string_split(std::string(json_string(json, "delimiter")), SplitBehavior::removed, false));
  } else {
    return error(Code::unsupported, "tokenizer.json: the pre_tokenizer \"{}\" is not known", type);
  }
  return ok_status();
}

}  // namespace

Status add_hf_normalizer(const Json& json, HfSteps& steps) { return add_normalizer(json, steps, 0); }
Status add_hf_pretokenizer(const Json& json, HfSteps& steps) { return add_pretokenizer(json, steps, 0); }

std::string_view hf_model_type(const Json& model) {
  if (const std::string_view type = json_string(model, "type"); !type.empty()) return type;
  if (!json_member(model, "merges").is_null()) return "BPE";
  if (json_member(model, "vocab").is_array()) return "Unigram";
  return json_member(model, "max_input_chars_per_word").is_null() ? "" : "WordPiece";
}

bool hf_has_type(const Json& json, std::string_view type) {
  if (json_string(json, "type") == type) return true;
  for (const std::string_view list : {"normalizers", "pretokenizers", "decoders", "processors"}) {
    for (const Json& step : json_member(json, list)) {
      if (json_string(step, "type") == type) return true;
    }
  }
  return false;
}

}  // namespace kinglet
