#include "hub/zip.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "host/error.h"

// Source: PKWARE's APPNOTE.TXT 6.3 (end of central directory 4.3.16, central header 4.3.12, local header 4.3.7).

namespace kinglet::hub {
namespace {

constexpr uint32_t kEndMark = 0x06054b50, kCentralMark = 0x02014b50, kLocalMark = 0x04034b50;
constexpr size_t kEndSize = 22, kCentralSize = 46, kLocalSize = 30;
constexpr size_t kMaxComment = 65535;

using Bytes = std::span<const std::byte>;

uint32_t number(Bytes bytes, size_t offset, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= std::to_integer<uint32_t>(bytes[offset + i]) << (8 * i);
  return value;
}

Result<Bytes> end_record(Bytes archive) {
  const size_t furthest = std::min(archive.size(), kEndSize + kMaxComment);
  for (size_t back = kEndSize; back <= furthest; ++back) {
    const Bytes record = archive.subspan(archive.size() - back);
    if (number(record, 0, 4) == kEndMark && number(record, 20, 2) == back - kEndSize) return record;
  }
  return Status(Code::corrupt, "not a ZIP archive");
}

/// Where an entry's packed bytes lie.
Result<Bytes> packed_bytes(Bytes archive, const ZipEntry& entry) {
  if (entry.header > archive.size() || archive.size() - entry.header < kLocalSize ||
      number(archive, entry.header, 4) != kLocalMark) {
    return error(Code::corrupt, "{}: its header lies outside the archive", entry.name);
  }
  const uint64_t data =
      entry.header + kLocalSize + number(archive, entry.header + 26, 2) + number(archive, entry.header + 28, 2);
  if (data > archive.size() || archive.size() - data < entry.packed) {
    return error(Code::corrupt, "{}: its bytes lie outside the archive", entry.name);
  }
  return archive.subspan(data, entry.packed);
}

/// Counts and checks what goes to the sink.
class Checked {
 public:
  Checked(const ZipEntry& entry, const std::function<Status(Bytes)>& sink) : entry_(entry), sink_(sink) {}

  Status put(Bytes bytes) {
    size_ += bytes.size();
    if (size_ > entry_.size) return error(Code::corrupt, "{}: longer than the archive says", entry_.name);
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    return sink_(bytes);
  }
  Status finish() const {
    if (size_ != entry_.size || crc_ != entry_.crc)
      return error(Code::corrupt, "{}: damaged in the archive", entry_.name);
    return ok_status();
  }

 private:
  const ZipEntry& entry_;
  const std::function<Status(Bytes)>& sink_;
  uint64_t size_ = 0;
  uLong crc_ = crc32_z(0, nullptr, 0);
};

Status inflate_to(Bytes packed, const ZipEntry& entry, Checked& out) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return Status(Code::internal, "zlib does not start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&stream, inflateEnd);
  std::vector<std::byte> buffer(size_t{1} << 18);
  int code = Z_OK;
  for (size_t done = 0; code != Z_STREAM_END;) {
    if (stream.avail_in == 0) {
      const size_t piece = std::min<size_t>(packed.size() - done, size_t{1} << 30);
      stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data() + done));
      stream.avail_in = static_cast<uInt>(piece);
      done += piece;
    }
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    code = inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END) return error(Code::corrupt, "{}: damaged in the archive", entry.name);
    KL_TRY(out.put(Bytes(buffer).first(buffer.size() - stream.avail_out)));
  }
  return ok_status();
}

}  // namespace

Result<std::vector<ZipEntry>> zip_entries(Bytes archive) {
  KL_ASSIGN(const Bytes end, end_record(archive));
  const uint32_t count = number(end, 10, 2), size = number(end, 12, 4), offset = number(end, 16, 4);
  if (count == 0xFFFF || size == UINT32_MAX || offset == UINT32_MAX)
    return Status(Code::unsupported, "a ZIP64 archive");
  if (offset > archive.size() || archive.size() - offset < size)
    return Status(Code::corrupt, "a ZIP archive's directory lies outside it");
  const Bytes directory = archive.subspan(offset, size);
  std::vector<ZipEntry> entries;
  for (size_t at = 0, i = 0; i < count; ++i) {
    if (directory.size() - at < kCentralSize || number(directory, at, 4) != kCentralMark) {
      return Status(Code::corrupt, "a ZIP archive's directory is damaged");
    }
    const uint32_t name = number(directory, at + 28, 2);
    const size_t record = kCentralSize + name + number(directory, at + 30, 2) + number(directory, at + 32, 2);
    if (directory.size() - at < record) return Status(Code::corrupt, "a ZIP archive's directory is damaged");
    ZipEntry entry;
    entry.name.assign(reinterpret_cast<const char*>(directory.data() + at + kCentralSize), name);
    if (number(directory, at + 8, 2) & 1) return error(Code::unsupported, "{}: encrypted", entry.name);
    entry.method = static_cast<uint16_t>(number(directory, at + 10, 2));
    entry.crc = number(directory, at + 16, 4);
    entry.packed = number(directory, at + 20, 4);
    entry.size = number(directory, at + 24, 4);
    entry.header = number(directory, at + 42, 4);
    entries.push_back(std::move(entry));
    at += record;
  }
  return entries;
}

Status zip_extract(Bytes archive, const ZipEntry& entry, const std::function<Status(Bytes)>& sink) {
  KL_ASSIGN(const Bytes packed, packed_bytes(archive, entry));
  Checked out(entry, sink);
  if (entry.method == 0) {
    KL_TRY(out.put(packed));
  } else if (entry.method == 8) {
    KL_TRY(inflate_to(packed, entry, out));
  } else {
    return error(Code::unsupported, "{}: packed by method {}", entry.name, entry.method);
  }
  return out.finish();
}

bool matches_pattern(std::string_view pattern, std::string_view name) {
  // On a mismatch after a star, the star takes one character more.
  size_t p = 0, n = 0, star = pattern.npos, retry = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p, ++n;
    } else if (star != pattern.npos && name[retry] != '/') {
      p = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace kinglet::hub
