// The body of /v1/embeddings, checked, and what it is answered.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "server/embedding_batch.h"
#include "server/request_fields.h"

namespace kinglet::server {

struct EmbeddingRequest {
  std::string model, user;
  /// Each a text, or token ids.
  std::vector<std::variant<std::string, std::vector<TokenId>>> inputs;
  bool base64 = false;
  int64_t dimensions = 0;  ///< 0: as many as the model has
};

std::variant<EmbeddingRequest, ApiError> parse_embedding_request(const Json& body);

Json embeddings_json(const Embeddings& embeddings, const std::string& model, bool base64);

/// RFC 4648, of the values as little-endian f32.
std::string base64_of(std::span<const float> values);

/// A text's tokens as they are embedded: BOS and EOS where the model wants them.
std::vector<TokenId> embedding_prompt(const Tokenizer& tokenizer, std::string_view text);

}  // namespace kinglet::server
