// Text in columns that fits a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kinglet::cli {

/// `text` for a terminal: characters that would steer it, and bytes that are no UTF-8, become '?'. One line.
std::string one_line(std::string_view text);

enum class Align { left, right };

/// Rows of cells. Columns are as wide as their widest cell; where that is too wide for the terminal, the widest columns give way and
/// their cells go on below. Cells pass through one_line().
class Table {
 public:
  explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);  ///< absent ones at the end are empty
  void add_heading(std::string text);        ///< a line of its own
  /// The lines, indented by two, in at most `width` columns (as far as 10 columns for each suffice).
  std::string text(int width) const;

 private:
  std::vector<int> widths(int width) const;
  std::vector<Align> columns_;
  std::vector<std::vector<std::string>> rows_;  ///< a heading has one cell more than there are columns, its last
};

}  // namespace kinglet::cli
