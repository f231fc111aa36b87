#include "cli/table.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace kinglet::cli {
namespace {

constexpr int kIndent = 2, kGap = 2, kNarrowest = 10;

struct Character {
  uint32_t code = 0;
  size_t bytes = 1;
  bool valid = false;
};

Character decode(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, true};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  uint32_t code = lead & (0x7FU >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c & 0xC0) != 0x80) return {};
    code = code << 6 | (c & 0x3F);
  }
  const bool too_long = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (too_long || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
  return {code, bytes, true};
}

// Control characters, and those that turn the direction of writing or join lines.
bool steers(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Every character counts as one column; wide ones only make a line longer.
int columns_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

// Bytes of the longest beginning of `text` that has at most `columns` columns.
size_t prefix(std::string_view text, int columns) {
  size_t end = 0;
  while (end < text.size() && columns > 0) {
    ++end;
    while (end < text.size() && is_continuation(text[end])) ++end;
    --columns;
  }
  return end;
}

// Lines of at most `width` columns, broken at spaces where there are any.
std::vector<std::string> wrap(std::string_view text, int width) {
  std::vector<std::string> out;
  while (columns_of(text) > width) {
    size_t end = prefix(text, width);
    const size_t space = text.rfind(' ', end);
    const bool breaks = space != text.npos && space > 0;
    out.emplace_back(text.substr(0, breaks ? space : end));
    text.remove_prefix(breaks ? space + 1 : end);
  }
  out.emplace_back(text);
  return out;
}

std::string padded(std::string_view text, int width, Align align) {
  const std::string space(static_cast<size_t>(std::max(0, width - columns_of(text))), ' ');
  return align == Align::right ? space + std::string(text) : std::string(text) + space;
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character c = decode(text);
    if (c.valid && !steers(c.code)) out += text.substr(0, c.bytes);
    else out += '?';
    text.remove_prefix(c.bytes);
  }
  return out;
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = one_line(cell);
  rows_.push_back(std::move(cells));
}

void Table::add_heading(std::string text) {
  std::vector<std::string> cells(columns_.size());
  cells.push_back(one_line(text));
  rows_.push_back(std::move(cells));
}

std::vector<int> Table::widths(int width) const {
  std::vector<int> out(columns_.size(), 0);
  for (const auto& row : rows_)
    for (size_t i = 0; i < columns_.size(); ++i) out[i] = std::max(out[i], columns_of(row[i]));
  const int room = width - kIndent - kGap * static_cast<int>(columns_.size() - 1);
  while (std::accumulate(out.begin(), out.end(), 0) > room) {
    int& widest = *std::max_element(out.begin(), out.end());
    if (widest <= kNarrowest) break;
    --widest;
  }
  return out;
}

std::string Table::text(int width) const {
  const std::vector<int> columns = widths(width);
  std::string out;
  for (const auto& row : rows_) {
    if (row.size() > columns_.size()) {
      for (const std::string& line : wrap(row.back(), std::max(width - kIndent, kNarrowest)))
        out += std::string(kIndent, ' ') + line + "\n";
      continue;
    }
    std::vector<std::vector<std::string>> cells;
    size_t lines = 1;
    for (size_t i = 0; i < columns.size(); ++i) {
      cells.push_back(wrap(row[i], std::max(columns[i], 1)));
      lines = std::max(lines, cells.back().size());
    }
    for (size_t line = 0; line < lines; ++line) {
      std::string text(kIndent, ' ');
      for (size_t i = 0; i < columns.size(); ++i) {
        if (i > 0) text += std::string(kGap, ' ');
        text += padded(line < cells[i].size() ? cells[i][line] : "", columns[i], columns_[i]);
      }
      text.erase(text.find_last_not_of(' ') + 1);
      out += text + "\n";
    }
  }
  return out;
}

}  // namespace kinglet::cli
