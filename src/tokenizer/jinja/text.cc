#include "tokenizer/jinja/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

/// Writes one value after another and stops where the text grows past the memory limit.
class Writer {
 public:
  explicit Writer(Heap& heap) : heap_(heap) {}

  void put(std::string_view text) {
    heap_.step(text.size() / 64 + 1);
    heap_.expect(out_.size() + text.size());
    out_ += text;
  }
  Heap& heap() { return heap_; }
  std::string take() { return std::move(out_); }

 private:
  Heap& heap_;
  std::string out_;
};

void write_repr(Writer& writer, const Value& value);

void write_items(Writer& writer, std::string_view open, const std::vector<Value>& items, std::string_view close) {
  writer.put(open);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) writer.put(", ");
    write_repr(writer, items[i]);
  }
  writer.put(close);
}

void write_sequence(Writer& writer, const Sequence& sequence) {
  switch (sequence.flavour) {
    case Sequence::Flavour::list:
      return write_items(writer, "[", sequence.items, "]");
    case Sequence::Flavour::tuple:
      return write_items(writer, "(", sequence.items, sequence.items.size() == 1 ? ",)" : ")");
    case Sequence::Flavour::generator:
      return writer.put(fmt::format("<{} object>", sequence.type));
    default:
      return write_items(writer, fmt::format("{}([", sequence.type), sequence.items, "])");
  }
}

void write_dict(Writer& writer, const Dict& dict) {
  writer.put("{");
  for (size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) writer.put(", ");
    write_repr(writer, dict.entries[i].first);
    writer.put(": ");
    write_repr(writer, dict.entries[i].second);
  }
  writer.put("}");
}

void write_space(Writer& writer, const Space& space) {
  writer.put("<Namespace {");
  for (size_t i = 0; i < space.attributes.size(); ++i) {
    if (i > 0) writer.put(", ");
    writer.put(quote(space.attributes[i].first) + ": ");
    write_repr(writer, space.attributes[i].second);
  }
  writer.put("}>");
}

std::string range_repr(const Range& range) {
  return range.step == 1 ? fmt::format("range({}, {})", range.start, range.stop)
                         : fmt::format("range({}, {}, {})", range.start, range.stop, range.step);
}

void write_repr(Writer& writer, const Value& value) {
  const Heap::Level level(writer.heap());
  switch (value.kind()) {
    case Value::Kind::undefined:
      return writer.put("Undefined");
    case Value::Kind::none:
      return writer.put("None");
    case Value::Kind::boolean:
      return writer.put(value.boolean() ? "True" : "False");
    case Value::Kind::integer:
      return writer.put(value.is_wide() ? value.wide().bytes : std::to_string(value.integer()));
    case Value::Kind::real:
      return writer.put(float_repr(value.real()));
    case Value::Kind::text:
      return writer.put(value.text().markup ? "Markup(" + quote(value.string()) + ")" : quote(value.string()));
    case Value::Kind::sequence:
      return write_sequence(writer, value.sequence());
    case Value::Kind::dict:
      return write_dict(writer, value.dict());
    case Value::Kind::range:
      return writer.put(range_repr(value.range()));
    case Value::Kind::space:
      return write_space(writer, value.space());
    case Value::Kind::function:
      return writer.put(value.function().repr);
  }
}

std::string json_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return float_repr(value);
}

void append_json_escape(std::string& out, uint32_t c) {
  if (c < 0x10000) {
    out += fmt::format("\\u{:04x}", c);
  } else {
    const uint32_t v = c - 0x10000;
    out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 | v >> 10, 0xDC00 | (v & 0x3FF));
  }
}

std::string json_quote(std::string_view text, bool ensure_ascii) {
  std::string out = "\"";
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const uint32_t c = next_code_point(text, pos);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (c < 0x20 || (ensure_ascii && c > 0x7E && c < 0x110000)) append_json_escape(out, c);
        else out += text.substr(begin, pos - begin);
    }
  }
  return out + "\"";
}

class JsonWriter {
 public:
  JsonWriter(Heap& heap, const JsonStyle& style) : writer_(heap), style_(style) {}

  void write(const Value& value, int level) {
    const Heap::Level recursion(writer_.heap());
    switch (value.kind()) {
      case Value::Kind::none:
        return writer_.put("null");
      case Value::Kind::boolean:
        return writer_.put(value.boolean() ? "true" : "false");
      case Value::Kind::integer:
        return writer_.put(value.is_wide() ? value.wide().bytes : std::to_string(value.integer()));
      case Value::Kind::real:
        return writer_.put(json_float(value.real()));
      case Value::Kind::text:
        return writer_.put(json_quote(value.string(), style_.ensure_ascii));
      case Value::Kind::sequence:
        if (value.sequence().is_list() || value.sequence().is_tuple()) return write_list(value.sequence().items, level);
        break;
      case Value::Kind::dict:
        return write_dict(value.dict(), level);
      default:
        break;
    }
    raise("TypeError", "Object of type {} is not JSON serializable", type_name(value));
  }

  std::string take() { return writer_.take(); }

 private:
  void new_line(int level) {
    if (!style_.pretty) return;
    writer_.put("\n");
    for (int i = 0; i < level; ++i) writer_.put(style_.indent);
  }

  void write_list(const std::vector<Value>& items, int level) {
    if (items.empty()) return writer_.put("[]");
    writer_.put("[");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) writer_.put(style_.item_separator);
      new_line(level + 1);
      write(items[i], level + 1);
    }
    new_line(level);
    writer_.put("]");
  }

  std::string key_text(const Value& key) {
    switch (key.kind()) {
      case Value::Kind::text:
        return key.string();
      case Value::Kind::none:
        return "null";
      case Value::Kind::boolean:
        return key.boolean() ? "true" : "false";
      case Value::Kind::integer:
        return to_str(writer_.heap(), key);
      case Value::Kind::real:
        return json_float(key.real());
      default:
        raise("TypeError", "keys must be str, int, float, bool or None, not {}", type_name(key));
    }
  }

  void write_dict(const Dict& dict, int level) {
    if (dict.entries.empty()) return writer_.put("{}");
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [this](const Dict::Entry* a, const Dict::Entry* b) {
        return less(writer_.heap(), a->first, b->first);
      });
    }
    writer_.put("{");
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) writer_.put(style_.item_separator);
      new_line(level + 1);
      writer_.put(json_quote(key_text(entries[i]->first), style_.ensure_ascii));
      writer_.put(style_.key_separator);
      write(entries[i]->second, level + 1);
    }
    new_line(level);
    writer_.put("}");
  }

  Writer writer_;
  const JsonStyle& style_;
};

}  // namespace

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  // The shortest digits that read back as the same number, laid out as Python does: plain from 1e-4 up to 1e16.
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const bool negative_exponent = text[e + 1] == '-';
  std::from_chars(text.data() + e + 2, text.data() + text.size(), exponent);
  if (negative_exponent) exponent = -exponent;
  const bool negative = text[0] == '-';
  std::string digits;
  for (char c : text.substr(negative ? 1 : 0, e - (negative ? 1 : 0))) {
    if (c != '.') digits += c;
  }
  std::string out = negative ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string quote(std::string_view text) {
  const char mark = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, mark);
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const uint32_t c = next_code_point(text, pos);
    if (c == static_cast<uint32_t>(mark) || c == '\\') (out += '\\') += static_cast<char>(c);
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (is_printable(c)) out += text.substr(begin, pos - begin);
    else if (c < 0x100) out += fmt::format("\\x{:02x}", c);
    else if (c < 0x10000) out += fmt::format("\\u{:04x}", c);
    else if (c < 0x110000) out += fmt::format("\\U{:08x}", c);
    else out += fmt::format("\\x{:02x}", c - 0x110000);
  }
  return out + mark;
}

std::string to_repr(Heap& heap, const Value& value) {
  Writer writer(heap);
  write_repr(writer, value);
  return writer.take();
}

std::string to_str(Heap& heap, const Value& value) {
  if (value.is_text()) return value.string();
  if (value.is_undefined()) return {};
  return to_repr(heap, value);
}

std::string to_json(Heap& heap, const Value& value, const JsonStyle& style) {
  JsonWriter writer(heap, style);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace kinglet::jinja
