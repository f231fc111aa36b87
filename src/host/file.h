// Files: read-only memory maps, whole-file reads, and writes that appear under their final name only when whole.
// The one place that calls the operating system for files (file_posix.cc, file_windows.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kinglet {

/// How a mapped range will be used; a hint only.
enum class Access { normal, sequential, random, will_need, dont_need, huge_pages };

/// A file mapped read-only. Movable; the bytes stay where they are as long as it lives.
class MappedFile {
 public:
  /// Errors: not_found, io (permission, a folder, a pipe), each with the path. An empty file has no bytes.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  /// Tells the system how bytes [offset, offset + length) will be read; clipped to the file.
  void advise(Access access, size_t offset = 0, size_t length = std::numeric_limits<size_t>::max()) const;

 private:
  MappedFile() = default;
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Writes beside `path` (a temporary name in the same folder) and renames over it in commit(). Destroyed before that,
/// it removes what it wrote, and whatever lay at `path` is untouched. Writes are buffered.
class AtomicFile {
 public:
  /// Errors: io with the reason (no such folder, not writable).
  static Result<AtomicFile> create(const std::string& path);

  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) noexcept;
  ~AtomicFile();

  /// Refuses at once where the folder's disk has less room than `bytes`, rather than after minutes of writing.
  Status expect(uint64_t bytes) const;
  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text) { return write(std::as_bytes(std::span(text.data(), text.size()))); }
  Status write_zeros(uint64_t count);
  uint64_t written() const;  ///< bytes so far, those still buffered included
  Status commit();           ///< flushes, syncs to the disk, renames; nothing may be written after it

 private:
  struct Impl;
  explicit AtomicFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The whole file as a string. Errors: not_found, io; out_of_range where it is larger than `max_bytes`.
Result<std::string> read_file(const std::string& path, uint64_t max_bytes = uint64_t{1} << 30);

/// `text` as the whole content of `path`, atomically.
Status write_file(const std::string& path, std::string_view text);

/// Makes the folder and its parents; ok where it exists.
Status make_directories(const std::string& path);

bool is_directory(const std::string& path);
bool is_file(const std::string& path);

/// `folder`/`name`, without doubling the separator.
std::string join_path(std::string_view folder, std::string_view name);

namespace file_detail {  // what one operating system provides; AtomicFile and the helpers stand on these

/// A file being written, by the system's handle.
struct NativeFile;
struct NativeFileDeleter {
  void operator()(NativeFile* file) const;  ///< closes it
};
using NativeFilePtr = std::unique_ptr<NativeFile, NativeFileDeleter>;

Result<NativeFilePtr> create_exclusive(const std::string& path);  ///< Code::invalid_argument where it exists
Status write_all(NativeFile& file, std::span<const std::byte> bytes);
Status sync(NativeFile& file);
Status replace(const std::string& from, const std::string& to);  ///< renames, and syncs the folder
void remove_quietly(const std::string& path);
uint64_t process_id();

}  // namespace file_detail
}  // namespace kinglet
