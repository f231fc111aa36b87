// What decoders of the llama family share: the keys every configuration has, and blocks that several programs use by calling
// them (never by flags).
#pragma once

#include "arch/builder.h"
#include "arch/config_io.h"

namespace kinglet {

inline constexpr Names kTokenEmbedding{"token_embd", "model.embed_tokens"};
inline constexpr Names kOutputNorm{"output_norm", "model.norm"};
inline constexpr Names kOutputHead{"output", "lm_head"};

/// Widths, context, norm epsilon, rope, and whether the head is tied. Checks that what it read can be a model.
void decoder_config(ConfigIo& io, Hyper& hyper);

/// down(op(gate(x)) * up(x)) with ffn_gate, ffn_up, ffn_down.
SlotId gated_feed_forward(Builder& b, SlotId x, Op op, const Hyper& h);
/// Final norm, rows of the outputs, output head, divided by the logit scale, softcapped.
Result<ProgramStorage> finish_decoder(Builder& b, SlotId x, const Hyper& h, NormStyle style = NormStyle::plain);

}  // namespace kinglet
