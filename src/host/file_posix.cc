// Files on Linux and macOS.
#ifndef _WIN32

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "host/error.h"
#include "host/file.h"

namespace kinglet {
namespace {

std::string reason(int number) {
  if (number == ENOSPC) return "the disk is full";
  return std::generic_category().message(number);
}

/// Closes a descriptor at the end of its scope.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

int advice_of(Access access) {
  switch (access) {
    case Access::normal:
      return MADV_NORMAL;
    case Access::sequential:
      return MADV_SEQUENTIAL;
    case Access::random:
      return MADV_RANDOM;
    case Access::will_need:
      return MADV_WILLNEED;
    case Access::dont_need:
      return MADV_DONTNEED;
    case Access::huge_pages:
#if defined(MADV_HUGEPAGE)
      return MADV_HUGEPAGE;
#else
      return MADV_NORMAL;
#endif
  }
  return MADV_NORMAL;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    return error(errno == ENOENT || errno == ENOTDIR ? Code::not_found : Code::io, "cannot open {}: {}", path,
                 reason(errno));
  }
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) return error(Code::io, "cannot open {}: {}", path, reason(errno));
  if (S_ISDIR(status.st_mode)) return error(Code::io, "cannot open {}: it is a folder", path);
  if (!S_ISREG(status.st_mode)) return error(Code::io, "cannot open {}: it is not a regular file", path);

  MappedFile out;
  out.path_ = path;
  out.size_ = static_cast<size_t>(status.st_size);
  if (out.size_ == 0) return out;
  void* data = ::mmap(nullptr, out.size_, PROT_READ, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED) {
    const int number = errno;
    out.size_ = 0;
    return error(Code::io, "cannot map {}: {}", path, reason(number));
  }
  out.data_ = static_cast<const std::byte*>(data);
  return out;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::advise(Access access, size_t offset, size_t length) const {
  if (offset >= size_) return;
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t end = length > size_ - offset ? size_ : offset + length;
  const size_t begin = offset / page * page;
  // A refused hint changes nothing that anyone relies on.
  (void)::madvise(const_cast<std::byte*>(data_) + begin, end - begin, advice_of(access));
}

namespace file_detail {

struct NativeFile {
  int fd;
};

void NativeFileDeleter::operator()(NativeFile* file) const {
  ::close(file->fd);
  delete file;
}

Result<NativeFilePtr> create_exclusive(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return Status(errno == EEXIST ? Code::invalid_argument : Code::io, reason(errno));
  return NativeFilePtr(new NativeFile{fd});
}

Status write_all(NativeFile& file, std::span<const std::byte> bytes) {
  constexpr size_t kMost = size_t{1} << 30;  // Linux moves at most 2^31 - 4096 bytes in one call
  while (!bytes.empty()) {
    const ssize_t n = ::write(file.fd, bytes.data(), std::min(bytes.size(), kMost));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status(Code::io, reason(errno));
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return ok_status();
}

Status sync(NativeFile& file) {
  // EINVAL: something that cannot be synced (a special file system), which is no failure of the write.
  if (::fsync(file.fd) != 0 && errno != EINVAL) return Status(Code::io, reason(errno));
  return ok_status();
}

Status replace(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return Status(Code::io, reason(errno));
  const Descriptor folder{::open(folder_of(to).c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY)};
  if (folder.fd >= 0) (void)::fsync(folder.fd);  // the new name survives a power cut; best effort
  return ok_status();
}

void remove_quietly(const std::string& path) { (void)::unlink(path.c_str()); }

uint64_t process_id() { return static_cast<uint64_t>(::getpid()); }

}  // namespace file_detail
}  // namespace kinglet

#endif  // _WIN32
