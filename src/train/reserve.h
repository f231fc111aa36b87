// Scratch that grows with the batches that need it.
#pragma once

#include "host/error.h"
#include "host/memory.h"

namespace kinglet::train {

/// `block` has at least so many bytes; where it had fewer, what was in it is lost. Errors: resource_exhausted.
inline Status reserve(Block& block, uint64_t bytes, Ledger& ledger) {
  if (block.size() >= bytes) return ok_status();
  block = Block();  // first give back, then take
  KL_ASSIGN(block, Block::allocate(bytes, MemoryUse::activations, ledger));
  return ok_status();
}

}  // namespace kinglet::train
