// Any bytes as a JSON Schema, a regular expression or a grammar (by the first byte): an error or an automaton that never stands still.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/matcher.h"
#include "grammar/regex.h"

namespace {

using kinglet::grammar::Grammar;

kinglet::Result<Grammar> read(uint8_t kind, std::string_view text) {
  if (kind % 3 == 0) return kinglet::grammar::compile_regex(text);
  if (kind % 3 == 1) return kinglet::grammar::parse_gbnf(text);
  KL_ASSIGN(const kinglet::Json schema, kinglet::parse_json(text));
  return kinglet::grammar::compile_json_schema(schema);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  auto grammar = read(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!grammar.ok()) return grammar.status().code() == kinglet::Code::internal ? (std::abort(), 0) : 0;
  std::vector<std::string> pieces;
  for (int c = 0; c < 256; ++c) pieces.emplace_back(1, static_cast<char>(c));
  kinglet::grammar::Matcher matcher(std::make_shared<kinglet::grammar::Automaton>(
      *std::move(grammar), std::make_shared<const kinglet::grammar::TokenTrie>(pieces)));
  for (size_t step = 0; step < 64; ++step) {
    const auto allowed = matcher.allowed();
    if (!allowed.ok()) return 0;
    size_t next = 256;
    for (size_t i = 0; i < 256; ++i) {
      const size_t byte = (i + data[step % size]) % 256;
      if ((**allowed)[byte / 64] >> (byte % 64) & 1) next = byte;
    }
    if (next == 256) return matcher.can_end() ? 0 : (std::abort(), 0);
    if (!matcher.accept(pieces[next]).ok()) return 0;
  }
  return 0;
}
