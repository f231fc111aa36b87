#include "formats/json.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "host/error.h"
#include "host/file.h"

namespace kinglet {
namespace {

/// Builds the tree from the parser's events. nlohmann's own builder looks through all earlier keys of an ordered object
/// for every new one, which takes minutes for a vocabulary of 150 thousand; this one collects the members and looks for
/// repeated keys once, when the object closes.
class TreeBuilder final : public nlohmann::json_sax<Json> {
 public:
  explicit TreeBuilder(int max_depth) : max_depth_(max_depth) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(size_t) override { return open(true); }
  bool start_array(size_t) override { return open(false); }
  bool key(std::string& value) override {
    frames_.back().key = std::move(value);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(size_t position, const std::string&, const Json::exception& what) override {
    position_ = position;
    reason_ = what.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ...": keep the last part.
    if (const size_t colon = reason_.find(": "); colon != std::string::npos) reason_.erase(0, colon + 2);
    return false;
  }

  bool too_deep() const { return too_deep_; }
  size_t position() const { return position_; }
  const std::string& reason() const { return reason_; }
  Json take() { return std::move(root_); }

 private:
  struct Frame {
    bool object;
    std::string key;  ///< of the member being read
    std::vector<std::pair<std::string, Json>> members;
    std::vector<Json> elements;
  };

  bool add(Json&& value) {
    if (frames_.empty()) {
      root_ = std::move(value);
    } else if (Frame& top = frames_.back(); top.object) {
      top.members.emplace_back(std::move(top.key), std::move(value));
    } else {
      top.elements.push_back(std::move(value));
    }
    return true;
  }

  bool open(bool object) {
    too_deep_ = static_cast<int>(frames_.size()) >= max_depth_;
    if (!too_deep_) frames_.push_back(Frame{object, {}, {}, {}});
    return !too_deep_;
  }

  bool close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!frame.object) return add(Json(std::move(frame.elements)));
    drop_repeated_keys(frame.members);
    Json object = Json::object();
    auto& map = object.get_ref<Json::object_t&>();
    map.reserve(frame.members.size());
    // The vector's own emplace_back: the map's looks through all keys first.
    for (auto& [key, value] : frame.members) {
      static_cast<Json::object_t::Container&>(map).emplace_back(std::move(key), std::move(value));
    }
    return add(std::move(object));
  }

  /// The last value of a repeated key counts, at its first place, as in Python's json.
  static void drop_repeated_keys(std::vector<std::pair<std::string, Json>>& members) {
    std::unordered_map<std::string_view, size_t> places;
    places.reserve(members.size());
    bool repeated = false;
    for (size_t i = 0; i < members.size(); ++i) repeated |= !places.emplace(members[i].first, i).second;
    if (!repeated) return;
    std::vector<bool> dropped(members.size());
    for (size_t i = 0; i < members.size(); ++i) {
      const size_t first = places.at(members[i].first);
      if (first == i) continue;
      members[first].second = std::move(members[i].second);
      dropped[i] = true;
    }
    places.clear();
    std::vector<std::pair<std::string, Json>> kept;
    for (size_t i = 0; i < members.size(); ++i)
      if (!dropped[i]) kept.push_back(std::move(members[i]));
    members = std::move(kept);
  }

  int max_depth_;
  bool too_deep_ = false;
  size_t position_ = 0;
  std::string reason_;
  std::vector<Frame> frames_;
  Json root_;
};

std::string place(std::string_view text, size_t position) {
  const std::string_view before = text.substr(0, std::min(position, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? before.size() : before.size() - newline - 1;
  return fmt::format("line {}, column {}", line, std::max<size_t>(column, 1));
}

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return error(Code::corrupt, "{} bytes of JSON, at most {} are read", text.size(), limits.max_bytes);
  }
  TreeBuilder builder(limits.max_depth);
  if (Json::sax_parse(text.begin(), text.end(), &builder)) return builder.take();
  if (builder.too_deep()) return error(Code::corrupt, "JSON nested deeper than {} levels", limits.max_depth);
  return error(Code::corrupt, "{}: {}", place(text, builder.position()), builder.reason());
}

Result<Json> read_json(const std::string& path, const JsonLimits& limits) {
  KL_ASSIGN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  auto json = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, limits);
  if (!json.ok()) return annotate(path, json.status());
  return json;
}

std::string to_text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kinglet
