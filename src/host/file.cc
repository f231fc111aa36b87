#include "host/file.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <utility>

#include "host/error.h"

namespace kinglet {
namespace {

namespace fs = std::filesystem;

// A multiple of the largest page: ext4 (Linux 6.16) then keeps a large file in pages of 2 MB, and maps it so.
constexpr size_t kBufferBytes = size_t{4} << 20;

/// A name beside `path` that no other writer of this machine uses now.
std::string temporary_name(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return fmt::format("{}.tmp-{}-{}", path, file_detail::process_id(), counter.fetch_add(1));
}

}  // namespace

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

struct AtomicFile::Impl {
  std::string path;
  std::string temporary;
  file_detail::NativeFilePtr file;
  std::vector<std::byte> buffer;
  uint64_t written = 0;

  ~Impl() {
    if (!file) return;
    file.reset();
    file_detail::remove_quietly(temporary);
  }

  Status flush() {
    if (buffer.empty()) return ok_status();
    const Status status = file_detail::write_all(*file, buffer);
    buffer.clear();
    return status.ok() ? status : annotate("cannot write " + path, status);
  }
};

AtomicFile::AtomicFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AtomicFile::AtomicFile(AtomicFile&&) noexcept = default;
AtomicFile& AtomicFile::operator=(AtomicFile&&) noexcept = default;
AtomicFile::~AtomicFile() = default;

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  if (path.empty()) return error(Code::invalid_argument, "cannot write a file without a name");
  if (is_directory(path)) return error(Code::io, "cannot write {}: it is a folder", path);
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  for (int attempt = 0; attempt < 16; ++attempt) {
    impl->temporary = temporary_name(path);
    auto file = file_detail::create_exclusive(impl->temporary);
    if (file.ok()) {
      impl->file = std::move(file).value();
      impl->buffer.reserve(kBufferBytes);
      return AtomicFile(std::move(impl));
    }
    // A name left over by a dead process whose number came round again: take the next one.
    if (file.status().code() != Code::invalid_argument) return annotate("cannot write " + path, file.status());
  }
  return error(Code::io, "cannot write {}: too many unfinished files lie beside it", path);
}

Status AtomicFile::expect(uint64_t bytes) const {
  std::error_code code;
  const fs::space_info space = fs::space(impl_->temporary, code);
  if (code || space.available >= bytes) return ok_status();
  return error(Code::io, "cannot write {}: it needs {} bytes and the disk has {} free", impl_->path, bytes,
               space.available);
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  if (!impl_->file) return error(Code::internal, "{}: written after it was committed", impl_->path);
  impl_->written += bytes.size();
  std::vector<std::byte>& buffer = impl_->buffer;
  while (!bytes.empty()) {
    if (buffer.empty() && bytes.size() >= kBufferBytes) {
      const size_t whole = bytes.size() / kBufferBytes * kBufferBytes;
      const Status status = file_detail::write_all(*impl_->file, bytes.first(whole));
      if (!status.ok()) return annotate("cannot write " + impl_->path, status);
      bytes = bytes.subspan(whole);
      continue;
    }
    const auto part = bytes.first(std::min(bytes.size(), kBufferBytes - buffer.size()));
    buffer.insert(buffer.end(), part.begin(), part.end());
    if (buffer.size() == kBufferBytes) KL_TRY(impl_->flush());
    bytes = bytes.subspan(part.size());
  }
  return ok_status();
}

Status AtomicFile::write_zeros(uint64_t count) {
  static constexpr std::byte kZeros[4096] = {};
  while (count > 0) {
    const size_t n = static_cast<size_t>(std::min<uint64_t>(count, sizeof(kZeros)));
    KL_TRY(write(std::span(kZeros, n)));
    count -= n;
  }
  return ok_status();
}

uint64_t AtomicFile::written() const { return impl_->written; }

Status AtomicFile::commit() {
  if (!impl_->file) return error(Code::internal, "{}: committed twice", impl_->path);
  KL_TRY(impl_->flush());
  if (const Status s = file_detail::sync(*impl_->file); !s.ok()) return annotate("cannot write " + impl_->path, s);
  impl_->file.reset();
  const Status renamed = file_detail::replace(impl_->temporary, impl_->path);
  if (renamed.ok()) return renamed;
  file_detail::remove_quietly(impl_->temporary);
  return annotate("cannot write " + impl_->path, renamed);
}

Result<std::string> read_file(const std::string& path, uint64_t max_bytes) {
  KL_ASSIGN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  if (bytes.size() > max_bytes) {
    return error(Code::out_of_range, "{}: {} bytes, at most {} are read", path, bytes.size(), max_bytes);
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Status write_file(const std::string& path, std::string_view text) {
  KL_ASSIGN(AtomicFile file, AtomicFile::create(path));
  KL_TRY(file.write(text));
  return file.commit();
}

Status make_directories(const std::string& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) return error(Code::io, "cannot make the folder {}: {}", path, code.message());
  if (!is_directory(path)) return error(Code::io, "cannot make the folder {}: a file has that name", path);
  return ok_status();
}

bool is_directory(const std::string& path) {
  std::error_code code;
  return fs::is_directory(path, code);
}

bool is_file(const std::string& path) {
  std::error_code code;
  return fs::is_regular_file(path, code);
}

std::string join_path(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  const bool ends = folder.back() == '/' || folder.back() == static_cast<char>(fs::path::preferred_separator);
  return fmt::format("{}{}{}", folder, ends ? "" : "/", name);
}

}  // namespace kinglet
