#include "server/answer_parser.h"

#include <algorithm>

#include "formats/json.h"

namespace kinglet::server {
namespace {

constexpr std::string_view kSpace = " \n\t\r";

std::string_view trimmed_front(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kSpace), text.size()));
}

// The length of `text` without the white space at its end, and without what one of `markers` may begin with there.
size_t certain_size(std::string_view text, const std::vector<std::string_view>& markers) {
  size_t held = 0;
  for (const std::string_view marker : markers) {
    for (size_t n = std::min(marker.size() - 1, text.size()); n > held; --n) {
      if (text.ends_with(marker.substr(0, n))) held = n;
    }
  }
  const size_t end = text.substr(0, text.size() - held).find_last_not_of(kSpace);
  return end == std::string_view::npos ? 0 : end + 1;
}

}  // namespace

// ---- one call

CallScanner::State CallScanner::push(char c, const std::vector<std::string>& names, Parts& out) {
  if (depth_ == 0) {
    depth_ = c == '{' ? 1 : 0;
    return depth_ == 1 ? State::open : State::failed;
  }
  return in_value_ ? push_value(c, names, out) : push_key(c, out);
}

CallScanner::State CallScanner::push_key(char c, Parts& out) {
  if (in_string_) {
    if (c == '"') in_string_ = false;
    else key_ += c;
    return key_.size() > 64 || c == '\\' ? State::failed : State::open;
  }
  if (c == '"' && key_.empty()) {
    in_string_ = true;
  } else if (c == ':' && !key_.empty()) {
    in_value_ = true;
    value_.clear();
    streaming_ = false;
  } else if (c == '}' && key_.empty()) {
    return end_call(out);
  } else if (kSpace.find(c) == std::string_view::npos && !(c == ',' && key_.empty())) {
    return State::failed;
  }
  return State::open;
}

CallScanner::State CallScanner::push_value(char c, const std::vector<std::string>& names, Parts& out) {
  if (!in_string_ && depth_ == 1 && (c == ',' || c == '}')) {
    if (end_value(names) == State::failed) return State::failed;
    return c == '}' ? end_call(out) : State::open;
  }
  if (value_.empty() && !streaming_) {
    if (kSpace.find(c) != std::string_view::npos) return State::open;
    streaming_ = c == '{' && !name_.empty() && (key_ == "arguments" || key_ == "parameters");
    if (streaming_) begin(out);
  }
  if (in_string_) {
    in_string_ = escaped_ || c != '"';
    escaped_ = !escaped_ && c == '\\';
  } else if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if (c == '}' || c == ']') {
    --depth_;
  }
  if (!streaming_) {
    value_ += c;
  } else if (depth_ > 1 || c == '}') {  // not the white space behind it
    emit({&c, 1}, out);
  }
  return State::open;
}

CallScanner::State CallScanner::end_value(const std::vector<std::string>& names) {
  in_value_ = false;
  const std::string key = std::exchange(key_, {});
  if (streaming_) return State::open;
  const auto value = parse_json(value_);
  if (!value.ok()) return State::failed;
  if (key == "name") {
    if (!value->is_string() || std::ranges::find(names, value->get_ref<const std::string&>()) == names.end())
      return State::failed;
    name_ = value->get<std::string>();
  } else if (key == "arguments" || key == "parameters") {
    // Some models write the object as a text.
    arguments_ = value->is_string() ? value->get<std::string>() : value->is_null() ? "{}" : to_text(*value);
  }
  return State::open;
}

CallScanner::State CallScanner::end_call(Parts& out) {
  if (name_.empty()) return State::failed;
  begin(out);
  if (!told_arguments_) emit(arguments_, out);
  return State::done;
}

void CallScanner::begin(Parts& out) {
  if (!std::exchange(begun_, true)) out.push_back({AnswerPart::Kind::call, name_});
}

void CallScanner::emit(std::string_view arguments, Parts& out) {
  told_arguments_ = true;
  if (!out.empty() && out.back().kind == AnswerPart::Kind::arguments) out.back().text += arguments;
  else out.push_back({AnswerPart::Kind::arguments, std::string(arguments)});
}

// ---- the answer

AnswerParser::AnswerParser(ParserOptions options) : options_(std::move(options)) {
  if (!options_.tools.empty()) {
    begins_ = options_.family->begins();
    std::string_view end = options_.family->end;
    while (end.starts_with('\n')) end.remove_prefix(1);
    if (!end.empty()) dropped_.push_back(end);
  }
  if (options_.thinking) {
    mode_ = Mode::thinking;
    trim_ = true;
  }
}

void AnswerParser::say(AnswerPart::Kind kind, std::string text) {
  if (trim_) text = std::string(trimmed_front(text));
  if (text.empty()) return;
  trim_ = false;
  said_ = said_ || kind == AnswerPart::Kind::content;
  if (!out_.empty() && out_.back().kind == kind) out_.back().text += text;
  else out_.push_back({kind, std::move(text)});
}

std::vector<AnswerPart> AnswerParser::push(std::string_view text) {
  pending_ += text;
  while (step(false)) {
  }
  return std::exchange(out_, {});
}

std::vector<AnswerPart> AnswerParser::finish() {
  while (step(true)) {
  }
  return std::exchange(out_, {});
}

// True where more can be done with what is pending.
bool AnswerParser::step(bool last) {
  switch (mode_) {
    case Mode::start:
      return step_start(last);
    case Mode::thinking:
      return step_thinking(last);
    case Mode::text:
      return step_text(last);
    case Mode::calls:
      return step_calls(last);
  }
  return false;
}

bool AnswerParser::step_start(bool last) {
  const std::string_view answer = trimmed_front(pending_);
  const std::string_view begin = options_.family->thinking.begin;
  const bool bare = options_.family->bare && !options_.tools.empty();
  const bool may_be_bare =
      bare && (kCallFence.starts_with(answer) ||
               (answer.starts_with(kCallFence) && trimmed_front(answer.substr(kCallFence.size())).empty()));
  if (!last && ((begin.starts_with(answer) && answer != begin) || may_be_bare)) return false;
  if (answer.starts_with(begin)) {
    pending_ = answer.substr(begin.size());
    mode_ = Mode::thinking;
    trim_ = true;
  } else if (!bare || !begins_bare_call(answer)) {
    mode_ = Mode::text;
  }
  return true;
}

bool AnswerParser::begins_bare_call(std::string_view answer) {
  const bool fenced = answer.starts_with(kCallFence);
  const std::string_view call = fenced ? trimmed_front(answer.substr(kCallFence.size())) : answer;
  if (!call.starts_with('{')) return false;
  fenced_ = fenced;
  raw_ = pending_.substr(0, pending_.size() - call.size());
  pending_.erase(0, raw_.size());
  mode_ = Mode::calls;
  return true;
}

bool AnswerParser::step_thinking(bool last) {
  const std::string_view end = options_.family->thinking.end;
  const size_t at = pending_.find(end);
  if (at != std::string::npos) {
    say(AnswerPart::Kind::reasoning, pending_.substr(0, certain_size(std::string_view(pending_).substr(0, at), {})));
    pending_.erase(0, at + end.size());
    mode_ = Mode::text;
    trim_ = true;
    if (options_.family->thinking_tags) dropped_.insert(dropped_.end(), {"<response>", "</response>"});
    return true;
  }
  const size_t size = last ? certain_size(pending_, {}) : certain_size(pending_, {end});
  say(AnswerPart::Kind::reasoning, pending_.substr(0, size));
  pending_.erase(0, last ? pending_.size() : size);
  return false;
}

bool AnswerParser::step_text(bool last) {
  size_t at = std::string::npos, size = 0;
  bool calls = false;
  const auto look = [&](std::string_view marker, bool of_calls) {
    const size_t found = pending_.find(marker);
    if (found >= at) return;
    at = found;
    size = marker.size();
    calls = of_calls;
  };
  for (const std::string_view marker : begins_) look(marker, true);
  for (const std::string_view marker : dropped_) look(marker, false);
  if (at != std::string::npos) {
    const size_t end = calls ? certain_size(std::string_view(pending_).substr(0, at), {}) : at;
    say(AnswerPart::Kind::content, pending_.substr(0, end));
    if (calls) {
      raw_ = pending_.substr(end, at + size - end);
      calls_before_ = calls_;
      mode_ = Mode::calls;
    }
    trim_ = trim_ || !calls;
    pending_.erase(0, at + size);
    return true;
  }
  std::vector<std::string_view> markers = begins_;
  markers.insert(markers.end(), dropped_.begin(), dropped_.end());
  const bool whole = last || markers.empty();
  // White space at the end of an answer with calls says nothing; elsewhere it is the answer's.
  const size_t end =
      !whole || calls_ > 0 ? certain_size(pending_, last ? std::vector<std::string_view>() : markers) : pending_.size();
  say(AnswerPart::Kind::content, pending_.substr(0, end));
  pending_.erase(0, last ? pending_.size() : end);
  return false;
}

bool AnswerParser::step_calls(bool last) {
  if (!scanner_) {
    const size_t begin = pending_.find_first_not_of(kSpace);
    if (begin == std::string::npos) {
      if (last) leave_calls();
      return last && !pending_.empty();
    }
    raw_ += pending_.substr(0, begin);
    pending_.erase(0, begin);
    const char c = pending_[0];
    if (c == '{') {
      scanner_.emplace();
      return true;
    }
    const bool between = calls_ > calls_before_ && (c == ',' || c == ';');
    if ((c == '[' && !list_) || between || (c == ']' && list_)) {
      list_ = c == '[' || (list_ && c != ']');
      raw_ += c;
      pending_.erase(0, 1);
      if (c == ']') leave_calls();
      return true;
    }
    leave_calls();
    return true;
  }
  feed_call();
  if (scanner_ && last) give_up_call();
  return !pending_.empty() && !scanner_;
}

void AnswerParser::feed_call() {
  size_t n = 0;
  CallScanner::State state = CallScanner::State::open;
  while (state == CallScanner::State::open && n < pending_.size())
    state = scanner_->push(pending_[n++], options_.tools, out_);
  raw_ += pending_.substr(0, n);
  pending_.erase(0, n);
  if (scanner_->begun()) raw_.clear();
  if (state == CallScanner::State::failed) return give_up_call();
  if (state == CallScanner::State::open) return;
  ++calls_;
  scanner_.reset();
}

// Behind the marker, or behind calls, there is something else.
void AnswerParser::leave_calls() {
  mode_ = Mode::text;
  list_ = false;
  const bool any = calls_ > calls_before_;
  trim_ = trim_ || any;
  if (any && std::exchange(fenced_, false)) dropped_.push_back("```");
  if (!any) say(AnswerPart::Kind::content, raw_);
  raw_.clear();
}

void AnswerParser::give_up_call() {
  if (scanner_->begun()) ++calls_;  // cut short
  else say(AnswerPart::Kind::content, std::exchange(raw_, {}));
  scanner_.reset();
  leave_calls();
}

}  // namespace kinglet::server
