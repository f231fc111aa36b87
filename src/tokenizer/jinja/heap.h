// What a running template may spend: steps, memory and depth, counted where they are spent.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "tokenizer/chat_template.h"
#include "tokenizer/jinja/failure.h"

namespace kinglet::jinja {

/// Counts what one rendering spends. It outlives every object made through it.
class Heap {
 public:
  explicit Heap(const TemplateLimits& limits) : limits_(limits) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  const TemplateLimits& limits() const { return limits_; }

  /// Counts `n` units of work: an evaluated node, an element looked at, or about 64 bytes of text.
  void step(uint64_t n = 1) {
    steps_ += n;
    if (steps_ > limits_.max_steps) raise_limit("the template takes more than {} steps", limits_.max_steps);
  }

  /// Fails where `bytes` more would not fit; call it before making something whose size a template can choose.
  void expect(uint64_t bytes) const {
    if (bytes > limits_.max_memory_bytes || memory_ + bytes > limits_.max_memory_bytes) {
      raise_limit("the template needs more than {} bytes of memory", limits_.max_memory_bytes);
    }
  }
  void take(uint64_t bytes) {
    expect(bytes);
    memory_ += bytes;
  }
  void give_back(uint64_t bytes) { memory_ -= bytes; }

  /// One level of recursion, in the template or in its values, for the life of the Level. Levels differ in how much of the
  /// processor's stack they take, and sanitizers multiply it, so the bytes are bounded as well as the count.
  class Level {
   public:
    explicit Level(Heap& heap) : heap_(heap) {
      // Rendering recurses a few frames for each level that the source or a call nests.
      const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
      if (heap_.depth_ == 0) heap_.stack_base_ = here;
      const uintptr_t used = here < heap_.stack_base_ ? heap_.stack_base_ - here : here - heap_.stack_base_;
      if (++heap_.depth_ > 8 * heap_.limits_.max_depth || used > kMaxStackBytes) {
        --heap_.depth_;
        raise_limit("RecursionError: the template nests calls too deeply");
      }
    }
    ~Level() { --heap_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Heap& heap_;
  };

 private:
  static constexpr uintptr_t kMaxStackBytes = uintptr_t{4} << 20;  // half of what a thread usually has

  TemplateLimits limits_;
  uint64_t steps_ = 0;
  uint64_t memory_ = 0;
  int depth_ = 0;
  uintptr_t stack_base_ = 0;  // of the outermost Level
};

/// What values share: it gives its memory back when the last value lets go.
class Object {
 public:
  Object(Heap& heap, uint64_t bytes) : heap_(heap), bytes_(bytes) { heap_.take(bytes_); }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() { heap_.give_back(bytes_); }

 private:
  Heap& heap_;
  uint64_t bytes_;
};

}  // namespace kinglet::jinja
