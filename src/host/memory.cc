#include "host/memory.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "base/checked.h"
#include "host/error.h"

#if defined(_WIN32)
#include <windows.h>

#include <psapi.h>  // after windows.h, whose types it uses
#else
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace kinglet {

#if defined(_WIN32)

static std::byte* system_allocate(size_t bytes) {
  return static_cast<std::byte*>(VirtualAlloc(nullptr, bytes, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE));
}
static void system_free(std::byte* data, size_t) { VirtualFree(data, 0, MEM_RELEASE); }
void forget_pages(std::span<const std::byte>) {}  // the working set is trimmed by the system
bool has_huge_pages() { return false; }           // they take a privilege
uint64_t huge_mapped_bytes(const std::byte*) { return 0; }
uint64_t machine_memory_bytes() {
  MEMORYSTATUSEX status{sizeof(status)};
  return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : 0;
}
uint64_t available_memory_bytes() {
  MEMORYSTATUSEX status{sizeof(status)};
  return GlobalMemoryStatusEx(&status) ? status.ullAvailPhys : 0;
}
uint64_t peak_resident_bytes() {
  PROCESS_MEMORY_COUNTERS counters{};
  return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof(counters)) ? counters.PeakWorkingSetSize : 0;
}

#else

// Large blocks are mapped in whole huge pages: the kernel then places them so that all of a block can be huge ones, and
// streaming through keys, values or weights does not wait for address translation every 4 KB.
static size_t mapped_bytes(size_t bytes) {
  constexpr size_t kHuge = size_t{2} << 20;
  return bytes >= 2 * kHuge ? round_up(bytes, kHuge) : bytes;
}

static std::byte* system_allocate(size_t bytes) {
  const size_t mapped = mapped_bytes(bytes);
  void* data = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return nullptr;
#if defined(MADV_HUGEPAGE)
  if (mapped >= (size_t{4} << 20)) madvise(data, mapped, MADV_HUGEPAGE);
#endif
  return static_cast<std::byte*>(data);
}
static void system_free(std::byte* data, size_t bytes) { munmap(data, mapped_bytes(bytes)); }

void forget_pages(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = round_up(reinterpret_cast<uintptr_t>(bytes.data()), page);
  const auto end = (reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

bool has_huge_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");  // Linux only
  std::string word;
  while (file >> word)
    if (word == "[always]" || word == "[madvise]") return true;
  return false;
}

// Of a map, Linux writes a line "begin-end ..." (hexadecimal) and then lines such as "FilePmdMapped:  2048 kB" (proc_pid_smaps(5)).
uint64_t huge_mapped_bytes(const std::byte* address) {
  std::ifstream file("/proc/self/smaps");
  const auto place = reinterpret_cast<uintptr_t>(address);
  uint64_t bytes = 0;
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    unsigned long long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &begin, &end) == 2) {
      if (here) break;
      here = begin <= place && place < end;
    } else if (here && (line.starts_with("FilePmdMapped:") || line.starts_with("AnonHugePages:"))) {
      bytes += std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10) * 1024;
    }
  }
  return bytes;
}

uint64_t machine_memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(size) : 0;
}

uint64_t available_memory_bytes() {
  std::ifstream file("/proc/meminfo");  // Linux only; elsewhere the stream is empty
  std::string key;
  uint64_t kilobytes = 0;
  while (file >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    file.ignore(1024, '\n');
  }
  return 0;
}

uint64_t peak_resident_bytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  return static_cast<uint64_t>(usage.ru_maxrss);
#else
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

#endif

Result<Block> Block::allocate(uint64_t bytes, MemoryUse use, Ledger& ledger) {
  Block block;
  if (bytes == 0) return block;
  KL_TRY(ledger.reserve(use, bytes));
  block.data_ = system_allocate(bytes);
  if (block.data_ == nullptr) {
    ledger.release(use, bytes);
    return error(Code::resource_exhausted, "the system has no {} for {}", format_bytes(bytes), name(use));
  }
  block.size_ = bytes;
  block.use_ = use;
  block.ledger_ = &ledger;
  return block;
}

Block& Block::operator=(Block&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(use_, other.use_);
  std::swap(ledger_, other.ledger_);
  return *this;
}

Block::~Block() {
  if (data_ == nullptr) return;
  system_free(data_, size_);
  ledger_->release(use_, size_);
}

}  // namespace kinglet
