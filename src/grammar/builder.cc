#include "grammar/builder.h"

#include <algorithm>

namespace kinglet::grammar {
namespace {

// More than the automaton may have nodes: nobody's memory is taken by what will be refused.
constexpr size_t kMostExpressions = 1'000'000;
constexpr char32_t kLastCode = 0x10FFFF, kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

int encode(char32_t c, uint8_t out[4]) {
  if (c < 0x80) return out[0] = static_cast<uint8_t>(c), 1;
  const int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (int i = n - 1; i > 0; --i, c >>= 6) out[i] = static_cast<uint8_t>(0x80 | (c & 0x3F));
  constexpr uint8_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  out[0] = static_cast<uint8_t>(kLead[n] | c);
  return n;
}

/// Cuts [first, last] into ranges whose encodings are a product of byte ranges, and calls f for each.
/// Source: R. Cox, "Regular Expression Matching in the Wild" (UTF-8 ranges).
template <typename F>
void for_byte_ranges(char32_t first, char32_t last, F&& f) {
  if (first > last) return;
  for (const char32_t edge : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}})
    if (first <= edge && last > edge) {
      for_byte_ranges(first, edge, f);
      return for_byte_ranges(edge + 1, last, f);
    }
  uint8_t a[4], b[4];
  const int n = encode(first, a);
  for (int i = 1; i < n; ++i) {
    const char32_t mask = (char32_t{1} << (6 * i)) - 1;
    if ((first & ~mask) == (last & ~mask)) continue;
    if ((first & mask) != 0) {
      for_byte_ranges(first, first | mask, f);
      return for_byte_ranges((first | mask) + 1, last, f);
    }
    if ((last & mask) != mask) {
      for_byte_ranges(first, (last & ~mask) - 1, f);
      return for_byte_ranges(last & ~mask, last, f);
    }
  }
  encode(last, b);
  f(a, b, n);
}

}  // namespace

std::vector<CodeRange> normalized(std::vector<CodeRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  std::vector<CodeRange> out;
  for (CodeRange r : ranges) {
    r.last = std::min(r.last, kLastCode);
    if (r.first > r.last) continue;
    if (!out.empty() && r.first <= out.back().last + 1) out.back().last = std::max(out.back().last, r.last);
    else out.push_back(r);
  }
  return out;
}

std::vector<CodeRange> complement(std::vector<CodeRange> ranges) {
  std::vector<CodeRange> out;
  char32_t next = 0;
  for (const CodeRange& r : normalized(std::move(ranges))) {
    if (r.first > next) out.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kLastCode) out.push_back({next, kLastCode});
  return out;
}

std::vector<CodeRange> difference(std::vector<CodeRange> ranges, std::vector<CodeRange> without) {
  std::vector<CodeRange> outside = complement(std::move(ranges));
  outside.insert(outside.end(), without.begin(), without.end());
  return complement(std::move(outside));
}

void Builder::rollback(const Mark& mark) {
  nodes_.resize(mark.nodes);
  sets_.resize(mark.sets);
  rules_.resize(mark.rules);
}

Builder::Expr Builder::add(Node node) {
  if (nodes_.size() >= kMostExpressions) {
    too_large_ = true;
    return {0};
  }
  nodes_.push_back(std::move(node));
  return {static_cast<int32_t>(nodes_.size() - 1)};
}

Builder::Expr Builder::bytes(const ByteSet& set) {
  const auto found = std::find(sets_.begin(), sets_.end(), set);
  const auto index = static_cast<int32_t>(found - sets_.begin());
  if (found == sets_.end()) sets_.push_back(set);
  return add({.kind = Kind::bytes, .a = index, .parts = {}});
}

Builder::Expr Builder::text(std::string_view text) {
  std::vector<Expr> parts;
  for (const char c : text) parts.push_back(bytes(ByteSet().set(static_cast<uint8_t>(c))));
  return sequence(std::move(parts));
}

Builder::Expr Builder::code_points(std::vector<CodeRange> ranges) {
  ByteSet ascii;
  std::vector<Expr> alternatives;
  const auto emit = [&](const uint8_t* a, const uint8_t* b, int n) {
    std::vector<Expr> parts;
    for (int i = 0; i < n; ++i) {
      ByteSet set;
      for (int c = a[i]; c <= b[i]; ++c) set.set(static_cast<size_t>(c));
      if (n == 1) ascii |= set;
      else parts.push_back(bytes(set));
    }
    if (n > 1) alternatives.push_back(sequence(std::move(parts)));
  };
  for (const CodeRange& r : difference(std::move(ranges), {{kFirstSurrogate, kLastSurrogate}}))
    for_byte_ranges(r.first, r.last, emit);
  if (ascii.any()) alternatives.push_back(bytes(ascii));
  return alternatives.size() == 1 ? alternatives[0] : choice(std::move(alternatives));
}

Builder::Expr Builder::sequence(std::vector<Expr> parts) {
  Node node{.kind = Kind::sequence, .parts = {}};
  for (const Expr e : parts) node.parts.push_back(e.id);
  return add(std::move(node));
}

Builder::Expr Builder::choice(std::vector<Expr> alternatives) {
  Node node{.kind = Kind::choice, .parts = {}};
  for (const Expr e : alternatives) node.parts.push_back(e.id);
  return add(std::move(node));
}

Builder::Expr Builder::repeat(Expr e, int64_t min, int64_t max) {
  return add({.kind = Kind::repeat, .a = e.id, .min = min, .max = max, .parts = {}});
}

RuleId Builder::declare(std::string name) {
  rules_.push_back({std::move(name)});
  return static_cast<RuleId>(rules_.size() - 1);
}

Builder::Expr Builder::call(RuleId rule) { return add({.kind = Kind::call, .a = rule, .parts = {}}); }

Builder::Expr Builder::named(std::string name, Expr body) {
  const RuleId rule = declare(std::move(name));
  define(rule, body);
  return call(rule);
}

}  // namespace kinglet::grammar
