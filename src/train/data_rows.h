// Training rows in the forms that people have them in, read from files one after another.
//
// | file | row |
// |---|---|
// | .jsonl, .json | one JSON object a line; its keys say what it is (parse_row). A .json may be one array of such objects |
// | .tsv | prompt, tab, completion; or prompt, chosen, rejected |
// | .txt and every other name | the whole file is one text |
//
// Each may be packed: .gz, .zst.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "formats/json.h"
#include "train/data_lines.h"

namespace kinglet::train {

/// A plain text to learn as it stands: {"text": "..."}.
struct TextRow {
  std::string text;
};

/// A conversation whose assistant's messages are learned: {"messages": [{"role", "content"}, ...], "tools": [...]}, or
/// ShareGPT's {"conversations": [{"from", "value"}, ...]}.
struct ChatRow {
  Json messages = Json::array();
  Json tools;                       ///< null or an array
  Json variables = Json::object();  ///< "chat_template_kwargs", for the template
};

/// What is asked and what may be answered. Each side is a text, or messages.
struct PromptRow {
  Json prompt;                ///< a string, or an array of messages
  Json completion;            ///< prompt/completion and Alpaca; null in a preference
  Json chosen, rejected;      ///< prompt/chosen/rejected
  std::optional<bool> label;  ///< prompt/completion/label: whether the completion is wanted
  Json tools;
  Json variables = Json::object();
};

/// Token ids as they are: {"input_ids": [...], "labels": [...]}; no labels: every token counts. Tokens whose
/// attention_mask is 0 are left out.
struct IdsRow {
  std::vector<int32_t> ids, labels;
};

struct Row {
  std::string file;
  int64_t line = 0;  ///< 0: the file as a whole; of one array, the item's number
  std::variant<TextRow, ChatRow, PromptRow, IdsRow> content;

  std::string place() const;  ///< "data.jsonl:12"
};

/// What one JSON object says, by its keys, in this order: input_ids; messages; conversations; chosen and rejected;
/// prompt and completion (and label); instruction and output (and input, system); text.
/// Errors: corrupt, with the key at fault.
Result<std::variant<TextRow, ChatRow, PromptRow, IdsRow>> parse_row(const Json& row);

/// Every text that a row holds, in order: contents of messages, prompts, answers. None for ids.
std::vector<std::string> texts_of(const Row& row);

/// Counts what is wrong with rows, and remembers the first few.
class RowProblems {
 public:
  static constexpr size_t kShown = 5;

  /// `strict`: the first problem is an error.
  explicit RowProblems(bool strict = false) : strict_(strict) {}

  /// Notes that the row at `place` cannot be used. Errors: under `strict`, the same as a status.
  Status add(const std::string& place, const Status& reason);

  int64_t count() const { return count_; }
  std::span<const std::string> first() const { return first_; }  ///< "data.jsonl:12: reason", at most kShown

 private:
  bool strict_;
  int64_t count_ = 0;
  std::vector<std::string> first_;
};

class RowReader {
 public:
  /// `problems` must outlive the reader.
  RowReader(std::vector<std::string> files, RowProblems& problems) : files_(std::move(files)), problems_(&problems) {}

  /// The next row that is well-formed; nothing at the end of the last file. What is not goes to the problems. Empty
  /// lines are no rows. Errors: a file that cannot be read to its end, and what RowProblems::add answers.
  Result<std::optional<Row>> next();

 private:
  Status open_next();
  Status open_json(const std::string& path);
  Result<bool> next_line(Row& row);
  Result<bool> next_item(Row& row);

  std::vector<std::string> files_;
  RowProblems* problems_;
  size_t file_ = 0;  ///< of files_, the next to open
  bool open_ = false;
  enum class Form : uint8_t { json_lines, json_array, tab_separated, text } form_ = Form::text;
  std::optional<LineReader> lines_;
  Json items_;       ///< of a json_array
  size_t item_ = 0;  ///< of items_, the next
};

}  // namespace kinglet::train
