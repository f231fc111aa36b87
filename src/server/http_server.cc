#include "server/http_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "host/error.h"

namespace kinglet::server {
namespace {

constexpr auto kLookInterval = std::chrono::milliseconds(50);

class Server;

class Conversation final : public Exchange, public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(Server& server, MHD_Connection* connection) : server_(server), connection_(connection) {}

  const HttpRequest& request() const override { return request_; }
  void respond(HttpReply reply) override {
    const std::lock_guard lock(mutex_);
    if (reply_) return;
    reply_ = std::move(reply);
    ended_ = true;
    resume();
  }
  void begin(HttpReply head) override {
    const std::lock_guard lock(mutex_);
    if (reply_) return;
    reply_ = std::move(head);
    streams_ = true;
    resume();
  }
  bool write(std::string_view piece) override;
  void end() override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    resume();
  }
  void on_gone(std::function<void()> gone) override {
    {
      const std::lock_guard lock(mutex_);
      if (!lost_) {
        gone_ = std::move(gone);
        return;
      }
    }
    gone();
  }

  /// The client went away, or its request is complete.
  void lose() {
    std::function<void()> gone;
    {
      const std::lock_guard lock(mutex_);
      if (!ended_ && !lost_) gone = std::move(gone_);
      lost_ = true;
    }
    if (gone) gone();
  }
  /// MHD forgets the connection.
  void detach() {
    lose();
    const std::lock_guard lock(mutex_);
    connection_ = nullptr;
  }
  /// Ends whatever there is, for the end of the server.
  void cut() {
    lose();
    const std::lock_guard lock(mutex_);
    if (!reply_) reply_ = HttpReply{503, "text/plain", ""};
    ended_ = true;
    unsent_.clear();
    resume();
  }

 private:
  friend class Server;
  void resume() {  // under mutex_
    if (suspended_ && connection_ != nullptr) {
      suspended_ = false;
      MHD_resume_connection(connection_);
    }
  }
  void suspend() {  // under mutex_, on MHD's thread
    suspended_ = true;
    MHD_suspend_connection(connection_);
  }
  ssize_t read(char* out, size_t most);

  Server& server_;
  HttpRequest request_;
  size_t dropped_ = 0;        ///< bytes of a body that is too large
  bool handed_over_ = false;  ///< MHD's thread alone, as request_ before that
  bool refused_ = false;
  int socket_ = -1;

  std::mutex mutex_;
  MHD_Connection* connection_;
  bool suspended_ = false, streams_ = false, ended_ = false, lost_ = false;
  std::optional<HttpReply> reply_;
  std::string unsent_;
  std::function<void()> gone_;
};

using Holder = std::shared_ptr<Conversation>;

struct DaemonStop {
  void operator()(MHD_Daemon* daemon) const { MHD_stop_daemon(daemon); }
};

class Server final : public HttpServer {
 public:
  Server(const HttpOptions& options, Callbacks callbacks) : options_(options), callbacks_(std::move(callbacks)) {}
  ~Server() override { stop(); }

  Status listen();
  uint16_t port() const override { return port_; }
  int64_t open_requests() const override {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(open_.size());
  }
  void quiesce() override {
    if (quiet_.exchange(true)) return;
    const MHD_socket listener = MHD_quiesce_daemon(daemon_.get());
    if (listener != MHD_INVALID_SOCKET) close(listener);
  }
  void stop() override;

  const HttpOptions& options() const { return options_; }
  MHD_Result on_request(MHD_Connection* connection, const char* url, const char* method, const char* upload,
                        size_t* upload_size, void** context);
  void on_complete(void** context);

 private:
  MHD_Result begin(MHD_Connection* connection, const char* url, const char* method, void** context);
  MHD_Result take_body(Conversation& c, std::string_view piece);
  MHD_Result hand_over(const Holder& c);
  MHD_Result answer(Conversation& c, MHD_Connection* connection);
  MHD_Result queue(Conversation& c, MHD_Connection* connection, const HttpReply& reply);
  MHD_Result refuse(Conversation& c, MHD_Connection* connection, const HttpReply& reply);
  void work();
  void look_for_lost();

  const HttpOptions options_;
  const Callbacks callbacks_;
  std::unique_ptr<MHD_Daemon, DaemonStop> daemon_;
  uint16_t port_ = 0;
  std::atomic<bool> quiet_{false};

  mutable std::mutex mutex_;
  std::condition_variable wake_;          ///< workers: there is a job, or the end
  std::condition_variable ending_;        ///< the look-out: the end (it must not take a worker's call)
  std::map<Conversation*, Holder> open_;  ///< handed over, and not complete
  std::deque<Holder> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

bool Conversation::write(std::string_view piece) {
  std::function<void()> gone;
  {
    const std::lock_guard lock(mutex_);
    if (lost_) return false;
    if (unsent_.size() + piece.size() <= server_.options().max_unread) {
      unsent_ += piece;
      resume();
      return true;
    }
    lost_ = true;
    ended_ = true;
    unsent_.clear();
    gone = std::move(gone_);
    resume();
  }
  if (gone) gone();
  return false;
}

// MHD asks for the next bytes of an answer that comes piece by piece.
ssize_t Conversation::read(char* out, size_t most) {
  const std::lock_guard lock(mutex_);
  if (unsent_.empty()) {
    if (ended_) return lost_ ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    suspend();
    return 0;
  }
  const size_t n = std::min(most, unsent_.size());
  std::memcpy(out, unsent_.data(), n);
  unsent_.erase(0, n);
  return static_cast<ssize_t>(n);
}

std::string header(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? "" : value;
}

std::string address_of(MHD_Connection* connection) {
  const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  char text[INET6_ADDRSTRLEN] = "";
  if (info != nullptr && info->client_addr->sa_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(info->client_addr)->sin_addr, text, sizeof(text));
  } else if (info != nullptr && info->client_addr->sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(info->client_addr)->sin6_addr, text, sizeof(text));
  }
  return text;
}

MHD_Result Server::on_request(MHD_Connection* connection, const char* url, const char* method, const char* upload,
                              size_t* upload_size, void** context) {
  if (*context == nullptr) return begin(connection, url, method, context);
  const Holder c = *static_cast<Holder*>(*context);
  if (*upload_size > 0) {
    const std::string_view piece(upload, *upload_size);
    *upload_size = 0;
    return take_body(*c, piece);
  }
  if (c->handed_over_) return answer(*c, connection);
  if (c->dropped_ > 0) return refuse(*c, connection, callbacks_.error(413, "the body is too large"));
  return hand_over(c);
}

MHD_Result Server::begin(MHD_Connection* connection, const char* url, const char* method, void** context) {
  auto c = std::make_shared<Conversation>(*this, connection);
  *context = new Holder(c);
  c->socket_ = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  HttpRequest& request = c->request_;
  request.method = method;
  request.path = url;
  request.authorization = header(connection, "Authorization");
  request.host = header(connection, "Host");
  request.origin = header(connection, "Origin");
  request.if_none_match = header(connection, "If-None-Match");
  request.accept_encoding = header(connection, "Accept-Encoding");
  request.remote = address_of(connection);
  if (quiet_) return refuse(*c, connection, callbacks_.error(503, "the server is shutting down"));
  if (auto refusal = callbacks_.gate(request)) return refuse(*c, connection, *refusal);
  const std::string length = header(connection, "Content-Length");
  if (!length.empty() && std::strtoull(length.c_str(), nullptr, 10) > options_.max_body) {
    return refuse(
        *c, connection,
        callbacks_.error(413, fmt::format("a body of {} bytes is too large; at most {}", length, options_.max_body)));
  }
  return MHD_YES;
}

// A body without a length is read on past the limit, so that the client gets its answer, but not for ever.
MHD_Result Server::take_body(Conversation& c, std::string_view piece) {
  if (c.refused_) return MHD_YES;
  if (c.dropped_ == 0 && c.request_.body.size() + piece.size() <= options_.max_body) {
    c.request_.body += piece;
    return MHD_YES;
  }
  std::string().swap(c.request_.body);
  c.dropped_ += piece.size();
  return c.dropped_ <= options_.max_body ? MHD_YES : MHD_NO;
}

MHD_Result Server::hand_over(const Holder& c) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      const std::lock_guard own(c->mutex_);
      c->handed_over_ = true;
      c->suspend();
      open_[c.get()] = c;
      jobs_.push_back(c);
    }
  }
  if (!c->handed_over_) {
    return refuse(*c, c->connection_, callbacks_.error(503, "the server is shutting down"));
  }
  wake_.notify_one();
  return MHD_YES;
}

MHD_Result Server::answer(Conversation& c, MHD_Connection* connection) {
  HttpReply reply;
  {
    const std::lock_guard lock(c.mutex_);
    if (!c.reply_) {  // woken for nothing
      c.suspend();
      return MHD_YES;
    }
    reply = *std::move(c.reply_);
    c.reply_ = HttpReply{reply.status, reply.type, ""};
  }
  return queue(c, connection, reply);
}

MHD_Result Server::refuse(Conversation& c, MHD_Connection* connection, const HttpReply& reply) {
  c.refused_ = true;
  c.ended_ = true;
  return queue(c, connection, reply);
}

MHD_Result Server::queue(Conversation& c, MHD_Connection* connection, const HttpReply& reply) {
  MHD_Response* response = nullptr;
  if (c.streams_) {
    const auto read = [](void* self, uint64_t, char* out, size_t most) {
      return (*static_cast<Holder*>(self))->read(out, most);
    };
    auto* holder = new Holder(c.shared_from_this());
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read, holder,
                                                 [](void* self) { delete static_cast<Holder*>(self); });
  } else {
    response =
        MHD_create_response_from_buffer(reply.body.size(), const_cast<char*>(reply.body.data()), MHD_RESPMEM_MUST_COPY);
  }
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", reply.type.c_str());
  for (const auto& [name, value] : reply.headers) MHD_add_response_header(response, name.c_str(), value.c_str());
  for (const auto& [name, value] : callbacks_.decorate(c.request_)) {
    MHD_add_response_header(response, name.c_str(), value.c_str());
  }
  const MHD_Result queued = MHD_queue_response(connection, static_cast<unsigned>(reply.status), response);
  MHD_destroy_response(response);
  return queued;
}

void Server::on_complete(void** context) {
  if (*context == nullptr) return;
  const std::unique_ptr<Holder> c(static_cast<Holder*>(*context));
  *context = nullptr;
  {
    const std::lock_guard lock(mutex_);
    open_.erase(c->get());
  }
  (*c)->detach();
}

void Server::work() {
  for (;;) {
    Holder c;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      c = std::move(jobs_.front());
      jobs_.pop_front();
    }
    callbacks_.handle(c);
  }
}

// A suspended connection is not polled by MHD: whether its client is still there is looked for here.
void Server::look_for_lost() {
  std::unique_lock lock(mutex_);
  while (!ending_.wait_for(lock, kLookInterval, [&] { return stopping_; })) {
    std::vector<pollfd> sockets;
    std::vector<Holder> lost;
    for (const auto& [_, c] : open_) sockets.push_back({c->socket_, POLLRDHUP, 0});
    if (sockets.empty() || poll(sockets.data(), sockets.size(), 0) <= 0) continue;
    size_t i = 0;
    for (const auto& [_, c] : open_) {
      if ((sockets[i++].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) lost.push_back(c);
    }
    lock.unlock();
    for (const Holder& c : lost) c->lose();
    lock.lock();
  }
}

Status Server::listen() {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  const std::string host = options_.host == "localhost" ? "127.0.0.1" : options_.host;
  const sockaddr* address = nullptr;
  unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(options_.port);
    address = reinterpret_cast<const sockaddr*>(&v4);
  } else if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(options_.port);
    address = reinterpret_cast<const sockaddr*>(&v6);
    flags |= MHD_USE_IPv6;
  } else {
    return error(Code::invalid_argument, "--host {} is no address; write 127.0.0.1, 0.0.0.0 or ::1", options_.host);
  }
  std::vector<MHD_OptionItem> items = {
      {MHD_OPTION_SOCK_ADDR, 0, const_cast<sockaddr*>(address)},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, static_cast<intptr_t>(std::max<size_t>(options_.max_head, 4096)), nullptr},
      {MHD_OPTION_CONNECTION_LIMIT, static_cast<intptr_t>(options_.max_connections), nullptr},
      {MHD_OPTION_CONNECTION_TIMEOUT, static_cast<intptr_t>(options_.idle_seconds), nullptr},
      {MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024, nullptr},
  };
  if (!options_.tls_certificate.empty()) {
    flags |= MHD_USE_TLS;
    items.push_back({MHD_OPTION_HTTPS_MEM_CERT, 0, const_cast<char*>(options_.tls_certificate.c_str())});
    items.push_back({MHD_OPTION_HTTPS_MEM_KEY, 0, const_cast<char*>(options_.tls_key.c_str())});
  }
  if (options_.listener >= 0) items.push_back({MHD_OPTION_LISTEN_SOCKET, options_.listener, nullptr});
  items.push_back({MHD_OPTION_END, 0, nullptr});
  const auto requested = [](void* self, MHD_Connection* connection, const char* url, const char* method, const char*,
                            const char* upload, size_t* upload_size, void** context) {
    return static_cast<Server*>(self)->on_request(connection, url, method, upload, upload_size, context);
  };
  const MHD_RequestCompletedCallback completed = [](void* self, MHD_Connection*, void** context,
                                                    MHD_RequestTerminationCode) {
    static_cast<Server*>(self)->on_complete(context);
  };
  daemon_.reset(MHD_start_daemon(flags, options_.port, nullptr, nullptr, requested, this, MHD_OPTION_ARRAY,
                                 items.data(), MHD_OPTION_NOTIFY_COMPLETED, completed, this, MHD_OPTION_END));
  if (daemon_ == nullptr) {
    return error(Code::io, "cannot listen on {} port {}: {}", options_.host, options_.port,
                 errno != 0 ? std::strerror(errno) : "the certificate or the key is not good");
  }
  port_ = options_.listener >= 0 ? options_.port : MHD_get_daemon_info(daemon_.get(), MHD_DAEMON_INFO_BIND_PORT)->port;
  for (int i = 0; i < options_.workers; ++i) threads_.emplace_back([this] { work(); });
  threads_.emplace_back([this] { look_for_lost(); });
  return ok_status();
}

void Server::stop() {
  if (daemon_ == nullptr) return;
  quiesce();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  ending_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  std::vector<Holder> open;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [_, c] : open_) open.push_back(c);
    jobs_.clear();
  }
  for (const Holder& c : open) c->cut();  // MHD waits for no suspended connection
  daemon_.reset();
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpOptions& options, Callbacks callbacks) {
  auto server = std::make_unique<Server>(options, std::move(callbacks));
  KL_TRY(server->listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace kinglet::server
