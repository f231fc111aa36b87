#include "host/process.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "host/error.h"

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <share.h>
#include <sys/locking.h>
#include <sys/stat.h>
#else
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
#endif

namespace kinglet {

#ifdef _WIN32

Result<ProcessResult> run_process(const std::vector<std::string>& words, const ProcessOptions& options) {
  for (const auto& [name, value] : options.environment) _putenv_s(name.c_str(), value.c_str());
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  arguments.push_back(nullptr);
  const intptr_t code = _spawnvp(_P_WAIT, arguments[0], arguments.data());
  if (code == -1) return error(errno == ENOENT ? Code::not_found : Code::io, "{}: {}", words[0], std::strerror(errno));
  return ProcessResult{static_cast<int>(code), {}};
}

Result<FileLock> FileLock::acquire(const std::string& path) {
  int descriptor = -1;
  if (_sopen_s(&descriptor, path.c_str(), _O_RDWR | _O_CREAT, _SH_DENYNO, _S_IREAD | _S_IWRITE) != 0) {
    return error(Code::io, "{}: {}", path, std::strerror(errno));
  }
  FileLock lock(descriptor);
  if (_locking(descriptor, _LK_NBLCK, 1) != 0)
    return error(Code::resource_exhausted, "{}: another process is at it", path);
  return lock;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) _close(descriptor_);
}

#else

namespace {

constexpr size_t kKeptOutput = 4096;
constexpr int kTickMilliseconds = 200;

/// Our environment with some variables set, as posix_spawn wants it.
std::vector<std::string> merged_environment(const ProcessOptions& options) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : options.environment) replaced = replaced || text.starts_with(name + "=");
    if (!replaced) out.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// Reads until the other end closes, keeping the end of it.
std::string drain(int descriptor, const std::function<void()>& tick) {
  std::string kept;
  std::array<char, 4096> buffer{};
  while (true) {
    pollfd waiting{descriptor, POLLIN, 0};
    const int ready = poll(&waiting, 1, kTickMilliseconds);
    if (tick) tick();
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t n = read(descriptor, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return kept;
    kept.append(buffer.data(), static_cast<size_t>(n));
    if (kept.size() > 2 * kKeptOutput) kept.erase(0, kept.size() - kKeptOutput);
  }
}

Result<pid_t> spawn(const std::vector<std::string>& words, const ProcessOptions& options, int output, int other_end) {
  std::vector<std::string> arguments = words;
  std::vector<std::string> environment = merged_environment(options);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawn_file_actions_addclose(&actions, other_end);
  posix_spawn_file_actions_addclose(&actions, output);
  pid_t pid = 0;
  const int code =
      posix_spawnp(&pid, words[0].c_str(), &actions, nullptr, pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0) return error(code == ENOENT ? Code::not_found : Code::io, "{}: {}", words[0], std::strerror(code));
  return pid;
}

}  // namespace

Result<ProcessResult> run_process(const std::vector<std::string>& words, const ProcessOptions& options) {
  if (words.empty()) return Status(Code::invalid_argument, "no program named");
  int ends[2];
  if (pipe(ends) != 0) return error(Code::io, "pipe: {}", std::strerror(errno));
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  const auto pid = spawn(words, options, ends[1], ends[0]);
  close(ends[1]);
  if (!pid.ok()) {
    close(ends[0]);
    return pid.status();
  }
  ProcessResult result;
  result.output = drain(ends[0], options.tick);
  close(ends[0]);
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0) {
    if (errno != EINTR) return error(Code::io, "{}: {}", words[0], std::strerror(errno));
  }
  result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

Result<FileLock> FileLock::acquire(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return error(Code::io, "{}: {}", path, std::strerror(errno));
  FileLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return error(Code::resource_exhausted, "{}: another process is at it", path);
  return error(Code::io, "{}: {}", path, std::strerror(errno));
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

#endif

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

}  // namespace kinglet
