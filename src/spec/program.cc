#include "spec/program.h"

namespace kinglet {

namespace {
constexpr OpInfo kOps[] = {
#define KINGLET_OP(name, inputs, text) {#name, inputs, text},
#include "spec/ops.def"
#undef KINGLET_OP
};
}  // namespace

const OpInfo& info(Op op) { return kOps[static_cast<size_t>(op)]; }

SlotPlace place_of(const Program& program, SlotId slot) {
  int32_t column = 0;
  while (program.slots[static_cast<size_t>(slot)].base != kNone) {
    column += program.slots[static_cast<size_t>(slot)].offset;
    slot = program.slots[static_cast<size_t>(slot)].base;
  }
  return {slot, column};
}

}  // namespace kinglet
