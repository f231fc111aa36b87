#include "server/embedding_request.h"

#include <bit>

#include "formats/base64.h"
#include "tokenizer/chat_format.h"

namespace kinglet::server {
namespace {

constexpr size_t kMostInputs = 2048;  // as OpenAI

bool is_token_list(const Json& value) {
  if (!value.is_array() || value.empty()) return false;
  for (const Json& id : value) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > INT32_MAX) return false;
  }
  return true;
}

bool add_input(const Json& value, EmbeddingRequest& out) {
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) {
    out.inputs.emplace_back(value.get<std::string>());
  } else if (is_token_list(value)) {
    out.inputs.emplace_back(value.get<std::vector<TokenId>>());
  } else {
    return false;
  }
  return true;
}

bool add_inputs(const Json& input, EmbeddingRequest& out) {
  if (input.is_string() || is_token_list(input)) return add_input(input, out);
  if (!input.is_array() || input.empty() || input.size() > kMostInputs) return false;
  for (const Json& one : input) {
    if (!add_input(one, out)) return false;
  }
  return true;
}

}  // namespace

std::variant<EmbeddingRequest, ApiError> parse_embedding_request(const Json& body) {
  RequestFields fields(body);
  EmbeddingRequest out;
  out.model = fields.text("model");
  out.user = fields.text("user");
  const Json* input = fields.get("input");
  if (input == nullptr || !add_inputs(*input, out)) {
    fields.fail(bad_field(
        "input", "input must be a text or a list of token ids, neither empty, or an array of up to 2048 of them"));
  }
  const std::string format = fields.text("encoding_format", "float");
  if (format != "float" && format != "base64") {
    fields.fail(bad_field("encoding_format", "encoding_format must be float or base64"));
  }
  out.base64 = format == "base64";
  out.dimensions = fields.integer("dimensions", 0, 1, INT32_MAX);
  if (auto wrong = fields.finish()) return *std::move(wrong);
  return out;
}

std::string base64_of(std::span<const float> values) {
  static_assert(std::endian::native == std::endian::little);
  return encode_base64({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

std::vector<TokenId> embedding_prompt(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<TokenId> out = plain_prompt(tokenizer, text);
  if (tokenizer.adds_eos() && tokenizer.eos()) out.push_back(*tokenizer.eos());
  return out;
}

Json embeddings_json(const Embeddings& embeddings, const std::string& model, bool base64) {
  Json data = Json::array();
  for (const auto& vector : embeddings.vectors) {
    data.push_back({{"object", "embedding"},
                    {"index", data.size()},
                    {"embedding", base64 ? Json(base64_of(vector)) : Json(vector)}});
  }
  return {
      {"object", "list"},
      {"data", std::move(data)},
      {"model", model},
      {"usage", {{"prompt_tokens", embeddings.usage.prompt_tokens}, {"total_tokens", embeddings.usage.prompt_tokens}}}};
}

}  // namespace kinglet::server
