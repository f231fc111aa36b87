// Runs the six AMX instructions of gemm_amx.cc on processors without tiles, where each of them raises SIGILL: a signal handler decodes the
// instruction, does what Intel's Software Developer's Manual (volume 2, and volume 1, chapter 18) says, and steps over it. It holds
// the program to the manual's conditions, so that what runs here is not refused by a processor. For tests only, and for one thread.
#pragma once

#if defined(__x86_64__) && defined(__linux__)

#include <signal.h>
#include <ucontext.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kinglet::amx {

struct Tile {
  int rows = 0, bytes = 0;  ///< as configured; nothing else of it may be used
  alignas(64) uint8_t data[16][64] = {};
};

struct State {
  bool configured = false;
  std::array<Tile, 8> tiles;
  int64_t executed = 0;  ///< instructions
};
inline State& state() {
  static State s;
  return s;
}

[[noreturn]] inline void refuse(const char* why) {
  std::fprintf(stderr, "AMX emulator: %s\n", why);
  std::abort();
}
inline void demand(bool condition, const char* what) {
  if (!condition) refuse(what);
}

/// A VEX-encoded instruction of map 0F38 with at most a memory operand.
struct Instruction {
  int prefix;  ///< pp: 0 none, 1 66, 2 F3, 3 F2
  int opcode, vvvv;
  int mod, reg, rm;
  int length;
  const uint8_t* address = nullptr;  ///< of the memory operand
  int64_t stride = 0;                ///< the index register's value, scaled
};

/// General register i of the interrupted program, in the order of the encodings.
inline uint64_t general(const mcontext_t& m, int i) {
  static constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<uint64_t>(m.gregs[kOrder[i]]);
}

inline bool decode(const mcontext_t& m, Instruction& out) {
  const auto* p = reinterpret_cast<const uint8_t*>(m.gregs[REG_RIP]);
  if (p[0] != 0xc4 || (p[1] & 31) != 2) return false;
  const int r = p[1] & 0x80 ? 0 : 8, x = p[1] & 0x40 ? 0 : 8, b = p[1] & 0x20 ? 0 : 8;
  if ((p[2] & 0x84) != 0) return false;  // W and L are zero
  out.prefix = p[2] & 3;
  out.vvvv = (~p[2] >> 3) & 15;
  out.opcode = p[3];
  out.mod = p[4] >> 6, out.reg = ((p[4] >> 3) & 7) | r, out.rm = (p[4] & 7) | b;
  out.length = 5;
  if (out.mod == 3) return true;
  uint64_t address = 0;
  if ((p[4] & 7) == 4) {
    const int sib = p[out.length++];
    const int index = ((sib >> 3) & 7) | x, base = (sib & 7) | b;
    if (index != 4) out.stride = static_cast<int64_t>(general(m, index)) << (sib >> 6);
    if ((sib & 7) == 5 && out.mod == 0) return false;  // no base: not written by any compiler here
    address = general(m, base);
  } else {
    if ((p[4] & 7) == 5 && out.mod == 0) return false;  // relative to the instruction
    address = general(m, out.rm);
  }
  if (out.mod == 1) {
    address += static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(p[out.length])));
    out.length += 1;
  } else if (out.mod == 2) {
    int32_t displacement;
    std::memcpy(&displacement, p + out.length, sizeof(displacement));
    address += static_cast<uint64_t>(static_cast<int64_t>(displacement));
    out.length += 4;
  }
  out.address = reinterpret_cast<const uint8_t*>(address);
  return true;
}

inline void load_config(const uint8_t* c) {
  State& s = state();
  demand(c[0] == 1, "palette 1 is the only one");
  demand(c[1] == 0, "start row");
  for (int i = 2; i < 16; ++i) demand(c[i] == 0, "reserved bytes");
  for (int i = 0; i < 16; ++i) {
    const int bytes = c[16 + 2 * i] | c[17 + 2 * i] << 8, rows = c[48 + i];
    demand(i < 8 || (bytes == 0 && rows == 0), "there are eight tiles");
    demand(bytes <= 64 && rows <= 16 && (bytes == 0) == (rows == 0), "a tile's size");
    if (i < 8) s.tiles[static_cast<size_t>(i)] = Tile{rows, bytes};
  }
  s.configured = true;
}

inline Tile& tile(int i) {
  demand(state().configured, "no configuration");
  demand(i < 8 && state().tiles[static_cast<size_t>(i)].rows > 0, "a tile that was not configured");
  return state().tiles[static_cast<size_t>(i)];
}

inline void clear(Tile& t) { std::memset(t.data, 0, sizeof(t.data)); }

inline void load(Tile& t, const uint8_t* from, int64_t stride) {
  clear(t);
  for (int r = 0; r < t.rows; ++r) std::memcpy(t.data[r], from + r * stride, static_cast<size_t>(t.bytes));
}

inline void store(const Tile& t, uint8_t* to, int64_t stride) {
  for (int r = 0; r < t.rows; ++r) std::memcpy(to + r * stride, t.data[r], static_cast<size_t>(t.bytes));
}

/// TDPBSUD: sums += signed a x unsigned b.
inline void multiply(Tile& sums, const Tile& a, const Tile& b) {
  demand(&sums != &a && &sums != &b && &a != &b, "three different tiles");
  demand(a.rows == sums.rows && b.bytes == sums.bytes && a.bytes == 4 * b.rows, "sizes of a product's tiles");
  for (int m = 0; m < sums.rows; ++m) {
    int32_t row[16];
    std::memcpy(row, sums.data[m], sizeof(row));
    for (int k = 0; k < a.bytes / 4; ++k)
      for (int n = 0; n < sums.bytes / 4; ++n)
        for (int i = 0; i < 4; ++i)
          row[n] += static_cast<int8_t>(a.data[m][4 * k + i]) * static_cast<int32_t>(b.data[k][4 * n + i]);
    std::memcpy(sums.data[m], row, sizeof(row));
  }
}

inline bool execute(const Instruction& i) {
  auto* address = const_cast<uint8_t*>(i.address);  // null where there is no memory operand
  const int what = i.opcode << 2 | i.prefix;
  if (what == (0x49 << 2 | 0) && address != nullptr) load_config(address);
  else if (what == (0x49 << 2 | 0)) state().configured = false;
  else if (what == (0x49 << 2 | 3) && address == nullptr) clear(tile(i.reg));
  else if (what == (0x4b << 2 | 3) && address != nullptr) load(tile(i.reg), address, i.stride);
  else if (what == (0x4b << 2 | 2) && address != nullptr) store(tile(i.reg), address, i.stride);
  else if (what == (0x5e << 2 | 2) && address == nullptr) multiply(tile(i.reg), tile(i.rm), tile(i.vvvv));
  else return false;
  ++state().executed;
  return true;
}

inline void on_illegal_instruction(int, siginfo_t*, void* context) {
  auto& m = static_cast<ucontext_t*>(context)->uc_mcontext;
  Instruction i;
  if (!decode(m, i) || !execute(i)) {
    signal(SIGILL, SIG_DFL);  // the instruction runs again, and the program ends as it would have
    return;
  }
  m.gregs[REG_RIP] += i.length;
}

inline void install() {
  struct sigaction action = {};
  action.sa_sigaction = on_illegal_instruction;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGILL, &action, nullptr);
}

}  // namespace kinglet::amx

#endif
