// Any bytes as a training row, through a template that has a bit of everything: an error, or a sample whose labels fit its
// ids.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "formats/json.h"
#include "train/data_samples.h"

namespace {

constexpr char kTokenizer[] = R"({"added_tokens": [{"id": 256, "content": "<e>", "special": true}],
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "model": {"type": "BPE", "vocab": {}, "merges": []}})";
constexpr char kTemplate[] =
    "{% for m in messages %}<e>{{ m.role }}{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif "
    "%}<e>"
    "{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}{% if add_generation_prompt %}<e>assistant{% endif %}";

const kinglet::train::SampleMaker& maker() {
  static const auto tokenizer = kinglet::Tokenizer::from_tokenizer_json(kinglet::Json::parse(kTokenizer));
  static const auto made = kinglet::train::SampleMaker::create(&*tokenizer, {.text = kTemplate},
                                                               {.max_length = 64, .vocabulary = 300, .now = 0});
  return *made;
}

void check(const kinglet::train::Sample& sample) {
  if (sample.ids.size() != sample.labels.size()) std::abort();
  for (const int32_t id : sample.ids)
    if (id < 0 || id >= 300) std::abort();
  kinglet::train::masked_text(maker().tokenizer(), sample);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = kinglet::parse_json({reinterpret_cast<const char*>(data), size}, {.max_depth = 64});
  if (!json.ok()) return 0;
  auto content = kinglet::train::parse_row(*json);
  if (!content.ok()) return 0;
  const kinglet::train::Row row{.file = "fuzz", .line = 1, .content = *std::move(content)};
  kinglet::train::Cut cut;
  if (const auto sample = maker().sample(row, cut); sample.ok()) check(*sample);
  if (const auto pair = maker().pair(row, cut); pair.ok()) {
    check(pair->chosen);
    check(pair->rejected);
  }
  kinglet::train::texts_of(row);
  return 0;
}
