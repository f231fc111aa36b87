#include "convert/tokenizer_data.h"

#include "host/error.h"

namespace kinglet::convert {
namespace {

constexpr std::string_view kRoles[] = {"bos", "eos", "unknown", "seperator", "padding", "cls", "mask", "eot", "eom"};

std::string key(std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); }

/// An array of exactly the type, left empty where the file has none.
template <typename T>
Status read_array(const gguf::File& file, std::string_view name, std::vector<T>& out) {
  const std::string full = key(name);
  if (!file.find(full)) return ok_status();
  const auto* items = file.get_items<T>(full);
  if (!items) return error(Code::corrupt, "metadata key {} has the wrong type", full);
  out = *items;
  return ok_status();
}

/// Bytes, which some writers call signed.
Status read_charsmap(const gguf::File& file, TokenizerData& data) {
  if (const auto* bytes = file.get_items<int8_t>(key("precompiled_charsmap"))) {
    data.charsmap.assign(bytes->begin(), bytes->end());
    return ok_status();
  }
  std::vector<uint8_t> bytes;
  KL_TRY(read_array(file, "precompiled_charsmap", bytes));
  data.charsmap.assign(bytes.begin(), bytes.end());
  return ok_status();
}

Status check_lengths(const TokenizerData& data) {
  const size_t n = data.tokens.size();
  if (!data.types.empty() && data.types.size() != n) {
    return error(Code::corrupt, "{} tokens have {} types", n, data.types.size());
  }
  if (!data.scores.empty() && data.scores.size() != n) {
    return error(Code::corrupt, "{} tokens have {} scores", n, data.scores.size());
  }
  return ok_status();
}

}  // namespace

std::optional<uint32_t> TokenizerData::special(std::string_view role) const {
  for (const SpecialToken& s : specials)
    if (s.role == role) return s.id;
  return std::nullopt;
}

std::optional<bool> TokenizerData::add(std::string_view role) const {
  for (const auto& [name, value] : adds)
    if (name == role) return value;
  return std::nullopt;
}

void TokenizerData::set_special(std::string_view role, int64_t id) {
  const auto fits = checked_cast<uint32_t>(id);
  if (!fits || special(role) || (!tokens.empty() && *fits >= tokens.size())) return;
  specials.push_back({std::string(role), *fits});
}

void TokenizerData::set_add(std::string_view role, bool value) {
  for (auto& [name, old] : adds) {
    if (name != role) continue;
    old = value;
    return;
  }
  adds.emplace_back(role, value);
}

std::string padding_text(size_t id) { return fmt::format("[PAD{}]", id); }

bool is_padding_text(std::string_view text) {
  if (text.size() < 6 || !text.starts_with("[PAD") || !text.ends_with(']')) return false;
  return text.substr(4, text.size() - 5).find_first_not_of("0123456789") == std::string_view::npos;
}

void fit_vocabulary(TokenizerData& data, int64_t vocabulary) {
  const size_t n = static_cast<size_t>(vocabulary), before = data.tokens.size();
  data.tokens.resize(n);
  for (size_t i = before; i < n; ++i) data.tokens[i] = padding_text(i);
  data.types.resize(n, static_cast<int32_t>(TokenType::unused));
  if (data.model == "llama" || data.model == "t5") data.scores.resize(n, -10000.0f);
}

Result<TokenizerData> tokenizer_from_gguf(const gguf::File& file) {
  TokenizerData data;
  data.model = file.get_string(key("model")).value_or("none");
  data.pre = file.get_string(key("pre")).value_or("");
  KL_TRY(read_array(file, "tokens", data.tokens));
  KL_TRY(read_array(file, "scores", data.scores));
  KL_TRY(read_array(file, "token_type", data.types));
  KL_TRY(read_array(file, "merges", data.merges));
  KL_TRY(check_lengths(data));
  for (const std::string_view role : kRoles) {
    if (const auto id = file.get_int(key(fmt::format("{}_token_id", role)))) data.set_special(role, *id);
  }
  for (const std::string_view role : {"bos", "eos", "sep"}) {
    if (const auto add = file.get_bool(key(fmt::format("add_{}_token", role)))) data.set_add(role, *add);
  }
  data.add_space_prefix = file.get_bool(key("add_space_prefix"));
  data.remove_extra_whitespaces = file.get_bool(key("remove_extra_whitespaces"));
  KL_TRY(read_charsmap(file, data));
  data.lowercase = file.get_bool(key("normalizer.lowercase"));
  data.strip_accents = file.get_bool(key("normalizer.strip_accents"));
  if (const auto count = file.get_int(key("token_type_count"))) data.token_type_count = checked_cast<uint32_t>(*count);
  data.chat_template = file.get_string("tokenizer.chat_template").value_or("");
  return data;
}

void write_tokenizer(const TokenizerData& data, gguf::Writer& file) {
  file.set(key("model"), data.model);
  if (data.model == "none") return;
  file.set(key("pre"), data.pre.empty() ? std::string("default") : data.pre);
  file.set(key("tokens"), gguf::make_array(data.tokens));
  if (!data.scores.empty()) file.set(key("scores"), gguf::make_array(data.scores));
  file.set(key("token_type"), gguf::make_array(data.types));
  if (!data.merges.empty()) file.set(key("merges"), gguf::make_array(data.merges));
  for (const SpecialToken& s : data.specials) file.set(key(fmt::format("{}_token_id", s.role)), s.id);
  for (const auto& [role, value] : data.adds) file.set(key(fmt::format("add_{}_token", role)), value);
  const auto set_if_said = [&](std::string_view name, const auto& value) {
    if (value) file.set(key(name), *value);
  };
  set_if_said("add_space_prefix", data.add_space_prefix);
  set_if_said("remove_extra_whitespaces", data.remove_extra_whitespaces);
  set_if_said("normalizer.lowercase", data.lowercase);
  set_if_said("normalizer.strip_accents", data.strip_accents);
  set_if_said("token_type_count", data.token_type_count);
  if (!data.charsmap.empty()) {
    file.set(key("precompiled_charsmap"),
             gguf::make_array(std::vector<uint8_t>(data.charsmap.begin(), data.charsmap.end())));
  }
  if (!data.chat_template.empty()) file.set("tokenizer.chat_template", data.chat_template);
}

}  // namespace kinglet::convert
