#include "train/byte_stream.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "host/error.h"
#include "host/file.h"

namespace kinglet::train {

/// Reads a mapped file from its start; one class for each way of packing.
struct ByteStream::Unpacker {
  explicit Unpacker(MappedFile mapped) : file(std::move(mapped)), rest(file.bytes()) {}
  virtual ~Unpacker() = default;
  virtual Result<size_t> read(std::span<char> out) = 0;

  MappedFile file;
  std::span<const std::byte> rest;  ///< what is not read yet
};

namespace {

struct Plain final : ByteStream::Unpacker {
  using Unpacker::Unpacker;
  Result<size_t> read(std::span<char> out) override {
    const size_t n = std::min(out.size(), rest.size());
    if (n > 0) std::memcpy(out.data(), rest.data(), n);
    rest = rest.subspan(n);
    return n;
  }
};

class Gzip final : public ByteStream::Unpacker {
 public:
  explicit Gzip(MappedFile mapped) : Unpacker(std::move(mapped)) {
    ready_ = inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK;  // 16: a gzip header, not zlib's
  }
  ~Gzip() override {
    if (ready_) inflateEnd(&stream_);
  }

  Result<size_t> read(std::span<char> out) override {
    if (!ready_) return Status(Code::resource_exhausted, "zlib does not start");
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), size_t{1} << 30));
    const uInt room = stream_.avail_out;
    while (stream_.avail_out == room) {
      if (rest.empty()) {
        if (inside_) return Status(Code::corrupt, "the gzip data is cut off");
        return size_t{0};
      }
      KL_TRY(step());
    }
    return size_t{room - stream_.avail_out};
  }

 private:
  Status step() {
    const size_t piece = std::min<size_t>(rest.size(), size_t{1} << 30);
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(rest.data()));
    stream_.avail_in = static_cast<uInt>(piece);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    rest = rest.subspan(piece - stream_.avail_in);
    inside_ = code != Z_STREAM_END;
    if (code == Z_STREAM_END)
      return inflateReset(&stream_) == Z_OK ? ok_status() : Status(Code::internal, "zlib does not restart");
    if (code == Z_OK || (code == Z_BUF_ERROR && stream_.avail_out == 0)) return ok_status();
    return error(Code::corrupt, "damaged gzip data{}{}", stream_.msg == nullptr ? "" : ": ",
                 stream_.msg == nullptr ? "" : stream_.msg);
  }

  z_stream stream_{};
  bool ready_ = false;
  bool inside_ = true;  ///< of a member; an empty file is cut off before its header
};

class Zstd final : public ByteStream::Unpacker {
 public:
  explicit Zstd(MappedFile mapped) : Unpacker(std::move(mapped)), context_(ZSTD_createDCtx()) {}
  ~Zstd() override { ZSTD_freeDCtx(context_); }

  Result<size_t> read(std::span<char> out) override {
    if (context_ == nullptr) return Status(Code::resource_exhausted, "zstd does not start");
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos == 0) {
      if (rest.empty() && !pending_) {
        if (inside_) return Status(Code::corrupt, "the zstd data is cut off");
        return size_t{0};
      }
      ZSTD_inBuffer from{rest.data(), rest.size(), 0};
      const size_t hint = ZSTD_decompressStream(context_, &to, &from);
      if (ZSTD_isError(hint)) return error(Code::corrupt, "damaged zstd data: {}", ZSTD_getErrorName(hint));
      if (from.pos == 0 && to.pos == 0 && rest.empty()) return Status(Code::corrupt, "the zstd data is cut off");
      rest = rest.subspan(from.pos);
      inside_ = hint != 0;
      pending_ = inside_ && to.pos == to.size;  // the decoder may hold more than there was room for
    }
    return to.pos;
  }

 private:
  ZSTD_DCtx* context_;
  bool inside_ = true;
  bool pending_ = false;
};

}  // namespace

ByteStream::ByteStream(std::string path, std::unique_ptr<Unpacker> unpacker)
    : path_(std::move(path)), unpacker_(std::move(unpacker)) {}
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;
ByteStream::~ByteStream() = default;

Result<ByteStream> ByteStream::open(const std::string& path) {
  KL_ASSIGN(MappedFile file, MappedFile::open(path));
  file.advise(Access::sequential);
  if (path.ends_with(".gz")) return ByteStream(path, std::make_unique<Gzip>(std::move(file)));
  if (path.ends_with(".zst")) return ByteStream(path, std::make_unique<Zstd>(std::move(file)));
  return ByteStream(path, std::make_unique<Plain>(std::move(file)));
}

Result<size_t> ByteStream::read(std::span<char> out) {
  auto n = unpacker_->read(out);
  if (!n.ok()) return annotate(path_, n.status());
  return n;
}

std::string_view without_packing(std::string_view path) {
  for (const std::string_view end : {".gz", ".zst"})
    if (path.ends_with(end)) return path.substr(0, path.size() - end.size());
  return path;
}

}  // namespace kinglet::train
