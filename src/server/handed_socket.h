// The socket that systemd opened for this process (socket activation, sd_listen_fds(3)): it is there before the server, and connections
// wait in it while the server starts again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace kinglet::server {

struct HandedSocket {
  int descriptor = -1;
  std::string host;  ///< the address that it listens on
  uint16_t port = 0;
};

/// What LISTEN_PID and LISTEN_FDS tell of; nothing where they are not for this process. The variables go, so that nobody takes it twice.
/// Errors: invalid_argument where it is not one listening TCP socket.
Result<std::optional<HandedSocket>> take_handed_socket();

}  // namespace kinglet::server
