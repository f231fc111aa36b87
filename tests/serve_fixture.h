// A `kinglet serve` with a tiny model, and a client of its socket. For tests only.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "formats/json.h"
#include "host/file.h"
#include "host/testing.h"
#include "tiny_fixture.h"

namespace kinglet {

namespace fs = std::filesystem;

struct Reply {
  int status = 0;
  std::string head, body;  ///< body: chunks joined
  Json json() const {
    const auto parsed = parse_json(body);
    EXPECT_TRUE(parsed.ok()) << body;
    return parsed.ok() ? *parsed : Json::object();
  }
  /// The data of each server-sent event.
  std::vector<std::string> events() const {
    std::vector<std::string> out;
    for (size_t at = 0; (at = body.find("data: ", at)) != std::string::npos;) {
      const size_t end = body.find("\n\n", at);
      out.push_back(body.substr(at + 6, end - at - 6));
      at = end;
    }
    return out;
  }
};

class Socket {
 public:
  explicit Socket(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Socket() { close(socket_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  void send_text(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t n = send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;  // the server may refuse before all is there
      text.remove_prefix(static_cast<size_t>(n));
    }
  }
  /// What comes until the other side closes, or until `enough` is in it.
  std::string read_until(std::string_view enough = "") const {
    std::string out;
    char buffer[4096];
    pollfd p{socket_, POLLIN, 0};
    while (poll(&p, 1, 30000) > 0) {
      const ssize_t n = recv(socket_, buffer, sizeof(buffer), 0);
      if (n <= 0) break;
      out.append(buffer, static_cast<size_t>(n));
      if (!enough.empty() && out.find(enough) != std::string::npos) break;
    }
    return out;
  }

 private:
  int socket_;
};

inline std::string joined_chunks(std::string_view raw) {
  std::string out;
  while (!raw.empty()) {
    const size_t size = std::strtoul(std::string(raw.substr(0, 16)).c_str(), nullptr, 16);
    const size_t begin = raw.find("\r\n");
    if (size == 0 || begin == std::string_view::npos || begin + 2 + size > raw.size()) break;
    out += raw.substr(begin + 2, size);
    raw.remove_prefix(std::min(raw.size(), begin + 4 + size));
  }
  return out;
}

class Serve : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kFixture)) GTEST_SKIP() << "shared fixture is absent: " << kFixture;
    write_fixture_with_bytes(folder_.file("tiny"));
  }
  void TearDown() override {
    if (server_ > 0) {
      EXPECT_EQ(end(SIGTERM), 0);
    }
  }

  void start(std::vector<std::string> words = {}) {
    words.insert(words.begin(),
                 {KINGLET_PROGRAM, "serve", folder_.file("tiny"), "--port", "0", "-t", "1", "--ctx", "2000"});
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    server_ = fork();
    if (server_ == 0) {
      dup2(ends[1], STDERR_FILENO);
      close(ends[0]);
      execv(KINGLET_PROGRAM, arguments.data());
      _exit(127);
    }
    close(ends[1]);
    log_ = fdopen(ends[0], "r");
    char line[4096];
    ASSERT_NE(fgets(line, sizeof(line), log_), nullptr);
    const std::string first(line);
    const size_t colon = first.find("127.0.0.1:");
    ASSERT_NE(colon, std::string::npos) << first;
    port_ = static_cast<uint16_t>(std::atoi(first.c_str() + colon + 10));
    drain_ = std::thread([this] {
      char more[4096];
      while (fgets(more, sizeof(more), log_) != nullptr) {
      }
    });
  }
  /// The exit code; -1 where a signal ended it.
  int end(int signal) {
    kill(server_, signal);
    int status = 0;
    waitpid(server_, &status, 0);
    server_ = 0;
    drain_.join();
    fclose(log_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  static std::string request_text(const std::string& method, const std::string& path, const std::string& body,
                                  const std::string& headers = "") {
    return method + " " + path +
           " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n" + headers + "\r\n" + body;
  }
  static Reply parse_reply(const std::string& raw) {
    Reply reply;
    const size_t gap = raw.find("\r\n\r\n");
    if (gap == std::string::npos) return reply;
    reply.status = std::atoi(raw.c_str() + 9);
    reply.head = raw.substr(0, gap);
    reply.body = raw.substr(gap + 4);
    if (reply.head.find("chunked") != std::string::npos) reply.body = joined_chunks(reply.body);
    return reply;
  }
  Reply send(const std::string& raw) const {
    const Socket socket(port_);
    socket.send_text(raw);
    return parse_reply(socket.read_until());
  }
  Reply post(const std::string& path, const Json& body) const { return send(request_text("POST", path, body.dump())); }
  Reply get(const std::string& path) const { return send(request_text("GET", path, "")); }
  /// The value of a line of /metrics; 0 where there is none.
  double metric(const std::string& line) const {
    const std::string page = "\n" + get("/metrics").body;
    const size_t at = page.find("\n" + line + " ");
    return at == std::string::npos ? 0 : std::strtod(page.c_str() + at + line.size() + 2, nullptr);
  }
  static Json chat(int64_t max_tokens) {
    return {{"model", "tiny"},
            {"messages", {{{"role", "user"}, {"content", "Hi"}}}},
            {"max_tokens", max_tokens},
            {"temperature", 0},
            {"logit_bias", {{"257", -100}}}};
  }

  TempFolder folder_;
  pid_t server_ = 0;
  FILE* log_ = nullptr;
  std::thread drain_;
  uint16_t port_ = 0;
};

}  // namespace kinglet
