#include "train/data_lines.h"

#include "host/error.h"

namespace kinglet::train {
namespace {
constexpr size_t kPiece = size_t{1} << 18;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
}  // namespace

/// Reads a piece behind what is left of the buffer. False at the end of the file.
Result<bool> LineReader::fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  const size_t before = buffer_.size();
  buffer_.resize(before + kPiece);
  const auto n = stream_.read(std::span(buffer_).subspan(before));
  buffer_.resize(before + (n.ok() ? *n : 0));
  if (!n.ok()) return n.status();
  return *n > 0;
}

Result<bool> LineReader::next(std::string& line) {
  size_t searched = 0;
  for (;;) {
    const size_t end = buffer_.find('\n', at_ + searched);
    if (end != std::string::npos) {
      line.assign(buffer_, at_, end - at_);
      at_ = end + 1;
      break;
    }
    searched = buffer_.size() - at_;
    if (searched > kMaxLineBytes)
      return error(Code::out_of_range, "line {} has more than {} bytes", number_ + 1, kMaxLineBytes);
    KL_ASSIGN(const bool more, fill());
    if (more) continue;
    if (buffer_.empty()) return false;
    line = std::move(buffer_);
    buffer_.clear();
    break;
  }
  if (line.ends_with('\r')) line.pop_back();
  if (number_ == 0 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  ++number_;
  return true;
}

Result<std::string> read_text(const std::string& path, size_t max_bytes) {
  KL_ASSIGN(ByteStream stream, ByteStream::open(path));
  std::string text;
  for (;;) {
    const size_t before = text.size();
    text.resize(before + std::max(kPiece, before / 2));
    KL_ASSIGN(const size_t n, stream.read(std::span(text).subspan(before)));
    text.resize(before + n);
    if (text.size() > max_bytes) return error(Code::out_of_range, "{}: a text of more than {} bytes", path, max_bytes);
    if (n == 0) break;
  }
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

}  // namespace kinglet::train
