// The bytes of a file in order, unpacked on the way where its name ends in .gz (RFC 1952) or .zst (RFC 8878).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace kinglet::train {

class ByteStream {
 public:
  /// Errors: not_found, io, with the path.
  static Result<ByteStream> open(const std::string& path);
  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;
  ~ByteStream();

  /// Fills the front of `out` (not empty) and answers how many bytes; 0 only at the end. Several packed members in one
  /// file follow each other. Errors: corrupt (not packed as the name says, damaged, cut off), with the path.
  Result<size_t> read(std::span<char> out);

  struct Unpacker;

 private:
  ByteStream(std::string path, std::unique_ptr<Unpacker> unpacker);
  std::string path_;
  std::unique_ptr<Unpacker> unpacker_;
};

/// `path` without .gz or .zst at its end.
std::string_view without_packing(std::string_view path);

}  // namespace kinglet::train
