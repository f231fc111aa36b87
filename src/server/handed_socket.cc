#include "server/handed_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "host/error.h"

namespace kinglet::server {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START

bool listens(int descriptor) {
  int answer = 0;
  socklen_t size = sizeof(answer);
  return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &answer, &size) == 0 && answer != 0;
}

}  // namespace

Result<std::optional<HandedSocket>> take_handed_socket() {
  const char* const pid = std::getenv("LISTEN_PID");
  const char* const count = std::getenv("LISTEN_FDS");
  const bool ours = pid != nullptr && count != nullptr && std::to_string(getpid()) == pid;
  const bool one = ours && std::string_view(count) == "1";
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  if (!ours) return std::optional<HandedSocket>();
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  const bool known = one && listens(kFirst) && getsockname(kFirst, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  char text[INET6_ADDRSTRLEN] = "";
  HandedSocket out{.descriptor = kFirst};
  if (known && address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    out.port = ntohs(v4.sin_port);
  } else if (known && address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
    out.port = ntohs(v6.sin6_port);
  } else {
    return Status(Code::invalid_argument, "LISTEN_FDS: what was handed over is not one listening TCP socket");
  }
  out.host = text;
  fcntl(kFirst, F_SETFD, FD_CLOEXEC);
  fcntl(kFirst, F_SETFL, fcntl(kFirst, F_GETFL) | O_NONBLOCK);
  return std::optional(std::move(out));
}

}  // namespace kinglet::server
