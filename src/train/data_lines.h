// Lines of a text file, packed or not, with their numbers.
#pragma once

#include <cstdint>
#include <string>

#include "train/byte_stream.h"

namespace kinglet::train {

class LineReader {
 public:
  static constexpr size_t kMaxLineBytes = size_t{64} << 20;

  explicit LineReader(ByteStream stream) : stream_(std::move(stream)) {}

  /// The next line without its end (\n or \r\n) and, in the first one, without a UTF-8 byte order mark. False at the end
  /// of the file. Errors: those of ByteStream::read; out_of_range for a line of more than kMaxLineBytes.
  Result<bool> next(std::string& line);
  int64_t number() const { return number_; }  ///< of the line that next() gave, from 1

 private:
  Result<bool> fill();

  ByteStream stream_;
  std::string buffer_;
  size_t at_ = 0;  ///< what of the buffer is used
  int64_t number_ = 0;
};

/// The whole text of a file, unpacked. Errors: those of ByteStream; out_of_range beyond `max_bytes`.
Result<std::string> read_text(const std::string& path, size_t max_bytes = size_t{1} << 30);

}  // namespace kinglet::train
