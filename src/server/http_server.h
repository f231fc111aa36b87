// HTTP by libmicrohttpd: one thread waits on all sockets (epoll), and connections whose answer is being made are suspended,
// so that many slow readers cost no thread each. Handlers run on a few workers and may answer later, from any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace kinglet::server {

struct HttpRequest {
  std::string method, path;                         ///< path: without the query
  std::string authorization, host, origin, remote;  ///< remote: the client's address
  std::string if_none_match, accept_encoding;
  std::string body;
};

struct HttpReply {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers{};
};

/// A request and its answer: whole by respond(), or by begin(), write() and end(). Any thread; exactly one answer.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const HttpRequest& request() const = 0;
  virtual void respond(HttpReply reply) = 0;
  /// The head of an answer that comes piece by piece (its body is left out).
  virtual void begin(HttpReply head) = 0;
  /// False where the client is gone, or reads so slowly that what waits for it passes a limit: it is given up then.
  virtual bool write(std::string_view piece) = 0;
  virtual void end() = 0;
  /// Calls `gone` once, on any thread, when the client goes away before its answer has ended; at once where it has already.
  virtual void on_gone(std::function<void()> gone) = 0;
};

struct HttpOptions {
  std::string host = "127.0.0.1";  ///< an address, or "localhost"
  uint16_t port = 8080;            ///< 0: a free one
  int listener = -1;               ///< a socket that listens on them already; taken over
  size_t max_body = size_t{8} << 20;
  size_t max_head = size_t{32} << 10;   ///< request line and headers
  size_t max_unread = size_t{4} << 20;  ///< bytes of an answer that wait for a slow reader
  unsigned max_connections = 1024;
  unsigned idle_seconds = 60;  ///< a connection that neither sends nor takes anything
  int workers = 2;
  std::string tls_certificate, tls_key;  ///< PEM; empty: no TLS
};

class HttpServer {
 public:
  /// Asked when a request's head is there, before its body: an answer refuses it. On the socket thread: must be quick.
  using Gate = std::function<std::optional<HttpReply>(const HttpRequest&)>;
  /// Headers that every answer to this request carries, besides its own.
  using Decorate = std::function<std::vector<std::pair<std::string, std::string>>(const HttpRequest&)>;
  using Handler = std::function<void(const std::shared_ptr<Exchange>&)>;
  struct Callbacks {
    Gate gate;
    Decorate decorate;
    Handler handle;
    std::function<HttpReply(int status, std::string_view message)> error;  ///< a limit of HTTP's own
  };

  /// Listens. Errors: invalid_argument (an address that is none), io (the port is taken).
  static Result<std::unique_ptr<HttpServer>> start(const HttpOptions& options, Callbacks callbacks);
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
  virtual int64_t open_requests() const = 0;  ///< that have no complete answer
  /// Takes no more connections; those that are open go on.
  virtual void quiesce() = 0;
  /// Cuts what is still open.
  virtual void stop() = 0;
};

}  // namespace kinglet::server
