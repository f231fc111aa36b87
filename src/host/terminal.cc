#include "host/terminal.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <io.h>
#include <windows.h>
#else
#include <sys/ioctl.h>
#include <unistd.h>
#endif

namespace kinglet {
namespace {

constexpr int kNarrowest = 20;

int window_columns(std::FILE* stream) {
#ifdef _WIN32
  CONSOLE_SCREEN_BUFFER_INFO info;
  const auto handle = reinterpret_cast<HANDLE>(_get_osfhandle(_fileno(stream)));
  return GetConsoleScreenBufferInfo(handle, &info) ? info.srWindow.Right - info.srWindow.Left + 1 : 0;
#else
  winsize size{};
  return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
#endif
}

int environment_columns() {
  const char* text = std::getenv("COLUMNS");
  if (text == nullptr) return 0;
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, ec] = std::from_chars(text, end, value);
  return ec == std::errc() && rest == end ? value : 0;
}

}  // namespace

bool is_terminal(std::FILE* stream) {
#ifdef _WIN32
  return _isatty(_fileno(stream)) != 0;
#else
  return isatty(fileno(stream)) != 0;
#endif
}

int terminal_columns(std::FILE* stream, int otherwise) {
  if (const int columns = environment_columns(); columns > 0) return std::max(columns, kNarrowest);
  const int columns = is_terminal(stream) ? window_columns(stream) : 0;
  return columns > 0 ? std::max(columns, kNarrowest) : otherwise;
}

}  // namespace kinglet
