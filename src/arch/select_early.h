// A rewrite of a program for inference: rows that no output is asked for are left as soon as nobody else reads them.
#pragma once

#include "arch/builder.h"

namespace kinglet {

/// Moves the selection of output rows to the front, past every operator that works row by row. In a decoder that is all of the
/// last layer behind its attention: a prompt, of which one row's logits are wanted, is spared most of a layer (of 16 layers a
/// sixteenth of its products), and a chunk of a prompt that no logits are wanted of has that part left out. Each row's values
/// come from the same operators in the same order. Programs without a selection, or with nothing before it to move past, stay.
void select_early(ProgramStorage& program);

}  // namespace kinglet
