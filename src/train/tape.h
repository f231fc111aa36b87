// The order in which a program is walked forward and backward, and which buffers each action reads and writes: values are
// kept as long as the backward walk reads them, gradients as long as somebody adds to them or their producer waits for them.
//
// The output head (every step after the program's `hidden`) is walked in chunks of rows, forward, loss and backward for
// each, so that (R, V) logits are never whole: the actions [head_begin, head_end) are repeated for each chunk.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "spec/program.h"
#include "train/checkpointing.h"

namespace kinglet::train {

/// How many rows a buffer has.
enum class Extent : uint8_t {
  tokens,   ///< T
  outputs,  ///< R, the unmasked rows
  chunk,    ///< of the head
};

/// A slot's place: columns of a buffer from `column` on.
struct Operand {
  int32_t buffer = kNone;
  int32_t column = 0;
  bool wanted() const { return buffer != kNone; }
};

struct Buffer {
  int64_t width = 0;
  Extent extent = Extent::tokens;
  int32_t first = INT32_MAX, last = -1;  ///< actions that touch it
  void touch(int32_t action) {
    first = action < first ? action : first;
    last = action > last ? action : last;
  }
};

struct Action {
  enum class Kind : uint8_t { forward, loss, backward };
  Kind kind = Kind::forward;
  int32_t step = kNone;
  Operand in[3], out;        ///< values; in backward those that it reads
  Operand d_in[3], d_out;    ///< gradients, in backward and loss
  bool add[3] = {};          ///< d_in[i] is added to
  bool clear[3] = {};        ///< d_in[i]'s buffer is zeroed first: nobody writes some of its columns
  int32_t log_sums = kNone;  ///< attention: buffer (T, H) of the logarithms of its rows' sums
  bool accumulate = false;   ///< forward of linear: adds to what is in `out`
  int8_t dropped = kNone;    ///< as dropout_sites() has it for the step
};

struct Tape {
  std::vector<Action> actions;
  std::vector<Buffer> buffers;
  int32_t head_begin = 0, head_end = 0;
};

struct TapeOptions {
  bool backward = true;
  bool dropout = false;
  Checkpointing checkpointing = Checkpointing::none;
};

/// `trained`: for each parameter, whether it has a gradient.
/// Errors: unsupported where the program does not end in one output head.
Result<Tape> make_tape(const Program& program, std::span<const uint8_t> trained, const TapeOptions& options);

/// Rows of each extent.
struct Extents {
  int64_t tokens = 0, outputs = 0, chunk = 0;
  int64_t rows(Extent e) const { return e == Extent::tokens ? tokens : e == Extent::outputs ? outputs : chunk; }
  bool operator==(const Extents&) const = default;
};
/// Of a batch of T tokens, R of them outputs. The chunks of the head are all of about one size.
Extents extents_of(const Program& program, int64_t T, int64_t R);

/// Where each buffer begins in one block of floats, on cache lines.
struct Placement {
  std::vector<int64_t> offsets;
  int64_t floats = 0;
};
Placement place_buffers(const Tape& tape, const Extents& extents);

}  // namespace kinglet::train
