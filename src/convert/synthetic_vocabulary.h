// Vocabularies for models without one: tokens of the right number and kind, so that every program opens the file and text
// goes through it, though no tokenizer was trained.
#pragma once

#include "convert/presets.h"
#include "convert/tokenizer_data.h"

namespace kinglet::convert {

/// `vocabulary` tokens of the preset's kind: its special tokens at their published ids, the 256 bytes, and pieces of letters
/// with the merges (byte-level BPE) or scores (SentencePiece) that make them.
TokenizerData synthetic_vocabulary(const Preset& preset, int64_t vocabulary);

}  // namespace kinglet::convert
