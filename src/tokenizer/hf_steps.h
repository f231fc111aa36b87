// The "normalizer" and "pre_tokenizer" of a tokenizer.json.
#pragma once

#include "base/status.h"
#include "formats/json.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/pretokenizer.h"

namespace kinglet {

/// What the steps of a tokenizer.json come to.
struct HfSteps {
  Normalizers normalizers;
  PreTokenizers pretokenizers;
  bool byte_level = false;    ///< words are spelled in GPT-2's characters for bytes
  bool prefix_space = false;  ///< a space goes before a text
  bool prefix_each = false;   ///< before each part between special tokens
};

/// Adds the steps of `json` (null: none). Errors: unsupported, with the name of the type; corrupt.
Status add_hf_normalizer(const Json& json, HfSteps& steps);
Status add_hf_pretokenizer(const Json& json, HfSteps& steps);

/// The kind of the "model": "BPE", "Unigram", "WordPiece" (or whatever it says), by its parts where it leaves its type out,
/// as files before version 0.10 of the library do; empty where they do not tell.
std::string_view hf_model_type(const Json& model);

/// Whether a step, or one of a sequence of them, is of this type.
bool hf_has_type(const Json& json, std::string_view type);

}  // namespace kinglet
