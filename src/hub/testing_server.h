// A small HTTP server on the loopback, for tests: what it answers is up to the test.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kinglet::hub::testing_server {

struct Request {
  std::string path;                            ///< with the query
  std::map<std::string, std::string> headers;  ///< names in lower case
};

struct Response {
  int status = 200;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string body;
  size_t cut_after = std::string::npos;  ///< closes the connection after so many bytes of the body
};

class Server {
 public:
  using Handler = std::function<Response(const Request&)>;

  explicit Server(Handler handler) : handler_(std::move(handler)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(listener_, 16);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    stopping_ = true;
    // Wakes accept(): closing the socket alone would not.
    const int waker = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    (void)!connect(waker, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    thread_.join();
    close(waker);
    close(listener_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_);
  }
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    while (true) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (stopping_) {
        if (connection >= 0) close(connection);
        return;
      }
      if (connection < 0) continue;
      answer(connection);
      close(connection);
    }
  }

  void answer(int connection) {
    const Request request = read_request(connection);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const Response response = handler_(request);
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " Status\r\nConnection: close\r\n";
    head += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
    for (const std::string& header : response.headers) head += header + "\r\n";
    const std::string text = head + "\r\n" + response.body.substr(0, response.cut_after);
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t n = send(connection, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
  }

  static Request read_request(int connection) {
    std::string text;
    char buffer[4096];
    while (text.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = recv(connection, buffer, sizeof(buffer), 0);
      if (n <= 0) break;
      text.append(buffer, static_cast<size_t>(n));
    }
    Request request;
    const size_t begin = text.find(' ');
    if (begin == std::string::npos) return request;
    request.path = text.substr(begin + 1, text.find(' ', begin + 1) - begin - 1);
    for (size_t line = text.find("\r\n"); line != std::string::npos; line = text.find("\r\n", line + 2)) {
      const size_t end = text.find("\r\n", line + 2);
      const size_t colon = text.find(": ", line + 2);
      if (end == std::string::npos || colon == std::string::npos || colon > end) break;
      std::string name = text.substr(line + 2, colon - line - 2);
      for (char& c : name) c = static_cast<char>(tolower(c));
      request.headers[name] = text.substr(colon + 2, end - colon - 2);
    }
    return request;
  }

  Handler handler_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::thread thread_;
};

/// `content` with an etag, whole or the range that is asked for.
inline Response serve_range(const Request& request, const std::string& content, const std::string& etag) {
  Response response{200, {"ETag: " + etag, "Accept-Ranges: bytes"}, content, std::string::npos};
  const auto range = request.headers.find("range");
  if (range == request.headers.end()) return response;
  const auto condition = request.headers.find("if-range");
  if (condition != request.headers.end() && condition->second != etag) return response;
  const size_t from = std::stoull(range->second.substr(6));
  if (from >= content.size())
    return {416, {"Content-Range: bytes */" + std::to_string(content.size())}, "", std::string::npos};
  response.status = 206;
  response.headers.push_back("Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(content.size() - 1) +
                             "/" + std::to_string(content.size()));
  response.body = content.substr(from);
  return response;
}

}  // namespace kinglet::hub::testing_server
