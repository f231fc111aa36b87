// Files on Windows. Paths are UTF-8, as everywhere in Kinglet.
#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "host/error.h"
#include "host/file.h"

namespace kinglet {
namespace {

std::string reason(DWORD number) {
  if (number == ERROR_DISK_FULL || number == ERROR_HANDLE_DISK_FULL) return "the disk is full";
  return std::system_category().message(static_cast<int>(number));
}

std::wstring wide(const std::string& path) {
  return std::filesystem::path(std::u8string(path.begin(), path.end())).wstring();
}

/// Closes a handle at the end of its scope.
struct Handle {
  HANDLE handle;
  ~Handle() {
    if (handle && handle != INVALID_HANDLE_VALUE) ::CloseHandle(handle);
  }
};

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  if (is_directory(path)) return error(Code::io, "cannot open {}: it is a folder", path);
  const Handle file{::CreateFileW(wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr)};
  if (file.handle == INVALID_HANDLE_VALUE) {
    const DWORD number = ::GetLastError();
    const bool absent = number == ERROR_FILE_NOT_FOUND || number == ERROR_PATH_NOT_FOUND;
    return error(absent ? Code::not_found : Code::io, "cannot open {}: {}", path, reason(number));
  }
  LARGE_INTEGER size{};
  if (!::GetFileSizeEx(file.handle, &size)) {
    return error(Code::io, "cannot open {}: {}", path, reason(::GetLastError()));
  }
  MappedFile out;
  out.path_ = path;
  if (size.QuadPart == 0) return out;
  const Handle mapping{::CreateFileMappingW(file.handle, nullptr, PAGE_READONLY, 0, 0, nullptr)};
  void* data = mapping.handle ? ::MapViewOfFile(mapping.handle, FILE_MAP_READ, 0, 0, 0) : nullptr;
  if (!data) return error(Code::io, "cannot map {}: {}", path, reason(::GetLastError()));
  out.data_ = static_cast<const std::byte*>(data);  // the view keeps the mapping and the file alive
  out.size_ = static_cast<size_t>(size.QuadPart);
  return out;
}

MappedFile::~MappedFile() {
  if (data_) ::UnmapViewOfFile(data_);
}

void MappedFile::advise(Access access, size_t offset, size_t length) const {
  if (access != Access::will_need || offset >= size_) return;  // the only hint that Windows takes
  WIN32_MEMORY_RANGE_ENTRY range{const_cast<std::byte*>(data_) + offset, std::min(length, size_ - offset)};
  (void)::PrefetchVirtualMemory(::GetCurrentProcess(), 1, &range, 0);
}

namespace file_detail {

struct NativeFile {
  HANDLE handle;
};

void NativeFileDeleter::operator()(NativeFile* file) const {
  ::CloseHandle(file->handle);
  delete file;
}

Result<NativeFilePtr> create_exclusive(const std::string& path) {
  const HANDLE handle =
      ::CreateFileW(wide(path).c_str(), GENERIC_WRITE, 0, nullptr, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (handle == INVALID_HANDLE_VALUE) {
    const DWORD number = ::GetLastError();
    return Status(number == ERROR_FILE_EXISTS ? Code::invalid_argument : Code::io, reason(number));
  }
  return NativeFilePtr(new NativeFile{handle});
}

Status write_all(NativeFile& file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    DWORD n = 0;
    const DWORD most = static_cast<DWORD>(std::min<size_t>(bytes.size(), size_t{1} << 30));
    if (!::WriteFile(file.handle, bytes.data(), most, &n, nullptr)) return Status(Code::io, reason(::GetLastError()));
    bytes = bytes.subspan(n);
  }
  return ok_status();
}

Status sync(NativeFile& file) {
  if (!::FlushFileBuffers(file.handle)) return Status(Code::io, reason(::GetLastError()));
  return ok_status();
}

Status replace(const std::string& from, const std::string& to) {
  if (!::MoveFileExW(wide(from).c_str(), wide(to).c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
    return Status(Code::io, reason(::GetLastError()));
  }
  return ok_status();
}

void remove_quietly(const std::string& path) { (void)::DeleteFileW(wide(path).c_str()); }

uint64_t process_id() { return ::GetCurrentProcessId(); }

}  // namespace file_detail
}  // namespace kinglet

#endif  // _WIN32
