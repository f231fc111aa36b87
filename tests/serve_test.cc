// `kinglet serve` as its clients see it, over a socket, on a tiny model.
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

#include "formats/json.h"
#include "host/file.h"
#include "host/testing.h"

namespace kinglet {
namespace {

namespace fs = std::filesystem;
const std::string kFixture = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/qwen2.5";
constexpr char kKey[] = "a-key-of-sixteen-or-more";

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

std::string joined_chunks(std::string_view raw) {
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
    fs::create_directories(folder_.file("tiny"));
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy(fs::path(kFixture) / name, fs::path(folder_.file("tiny")) / name);
    fs::copy(KINGLET_TEST_DATA "/byte_tokenizer", folder_.file("tiny"));
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

TEST_F(Serve, AnswersWholeAndInPiecesAlike) {
  start();
  const Reply whole = post("/v1/chat/completions", chat(12));
  ASSERT_EQ(whole.status, 200) << whole.body;
  const Json answer = whole.json();
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 12);

  Json streamed = chat(12);
  streamed["stream"] = true;
  streamed["stream_options"] = {{"include_usage", true}};
  const Reply pieces = post("/v1/chat/completions", streamed);
  ASSERT_EQ(pieces.status, 200);
  EXPECT_NE(pieces.head.find("text/event-stream"), std::string::npos);
  const auto events = pieces.events();
  ASSERT_GE(events.size(), 3u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::string text;
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    const Json event = *parse_json(events[i]);
    if (event["choices"][0]["delta"].contains("content"))
      text += event["choices"][0]["delta"]["content"].get<std::string>();
  }
  EXPECT_EQ(text, answer["choices"][0]["message"]["content"]);
  EXPECT_EQ((*parse_json(events[events.size() - 2]))["usage"]["completion_tokens"], 12);
}

TEST_F(Serve, TwoClientsAtOnceGetWhatEachWouldAlone) {
  start();
  const std::string alone = post("/v1/chat/completions", chat(200)).json()["choices"][0]["message"]["content"];
  std::string other;
  std::thread second(
      [&] { other = post("/v1/chat/completions", chat(200)).json()["choices"][0]["message"]["content"]; });
  const Reply first = post("/v1/completions", {{"prompt", "Once"}, {"seed", 3}, {"max_tokens", 100}});
  second.join();
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(other, alone);
}

TEST_F(Serve, WhatIsWrongHasItsOwnError) {
  start({"--max-body", "10K"});
  Json body = chat(5);
  body["no_such_parameter"] = 1;
  const Reply unknown = post("/v1/chat/completions", body);
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(unknown.json()["error"]["param"], "no_such_parameter");
  EXPECT_EQ(send(request_text("POST", "/v1/chat/completions", "{")).status, 400);
  EXPECT_EQ(post("/v1/chat/completions", {{"prompt", std::string(20000, 'x')}}).status, 413);
  const std::string chunk = "1000\r\n" + std::string(0x1000, ' ') + "\r\n";
  EXPECT_EQ(send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n" +
                 chunk + chunk + chunk + "0\r\n\r\n")
                .status,
            413);
  EXPECT_EQ(get("/nothing").status, 404);
  EXPECT_EQ(get("/v1/completions").status, 405);
  body = chat(5);
  body["model"] = "another";
  EXPECT_EQ(post("/v1/chat/completions", body).status, 404);
  EXPECT_EQ(post("/v1/completions", {{"prompt", std::string(3000, 'x')}}).json()["error"]["code"],
            "context_length_exceeded");
  EXPECT_EQ(send("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").status, 403);
  EXPECT_EQ(send(request_text("GET", "/v1/models", "", "Origin: https://evil.example\r\n")).status, 403);
  EXPECT_EQ(get("/health").status, 200) << "and it still stands";
}

TEST_F(Serve, KeysAreAskedFor) {
  ASSERT_TRUE(write_file(folder_.file("keys"), kKey).ok());
  start({"--api-key-file", folder_.file("keys")});
  EXPECT_EQ(get("/v1/models").status, 401);
  EXPECT_EQ(send(request_text("GET", "/v1/models", "", "Authorization: Bearer wrong\r\n")).status, 401);
  const Reply good = send(request_text("GET", "/v1/models", "", std::string("Authorization: Bearer ") + kKey + "\r\n"));
  EXPECT_EQ(good.json()["data"][0]["id"], "tiny");
}

TEST_F(Serve, AClientThatGoesAwayEndsItsAnswer) {
  start({"--parallel", "1"});
  Json endless = chat(1900);
  {
    const Socket streaming(port_);
    endless["stream"] = true;
    streaming.send_text(request_text("POST", "/v1/chat/completions", endless.dump()));
    EXPECT_NE(streaming.read_until("data: ").find("200"), std::string::npos);
  }
  {
    const Socket waiting(port_);
    endless.erase("stream");
    waiting.send_text(request_text("POST", "/v1/chat/completions", endless.dump()));
  }
  EXPECT_EQ(post("/v1/chat/completions", chat(3)).status, 200);
  // Both are cancelled; the one that waited may be noticed a moment later.
  std::string metrics;
  for (int i = 0; i < 500 && metrics.find("finish=\"cancelled\"} 2") == std::string::npos; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    metrics = get("/metrics").body;
  }
  EXPECT_NE(metrics.find("finish=\"cancelled\"} 2"), std::string::npos) << metrics;
}

TEST_F(Serve, AnAnswerKeepsToItsSchema) {
  start();
  Json request = chat(300);
  request["temperature"] = 1.5;
  request["response_format"] = {
      {"type", "json_schema"},
      {"json_schema",
       {{"name", "x"},
        {"schema", Json::parse(R"({"type":"object","properties":{"n":{"type":"integer","minimum":10,"maximum":99},
                                   "ok":{"type":"boolean"}},"required":["n","ok"]})")}}}};
  for (int seed = 0; seed < 4; ++seed) {
    request["seed"] = seed;
    const Json reply = post("/v1/chat/completions", request).json();
    const auto answer = parse_json(reply["choices"][0]["message"]["content"].get<std::string>());
    ASSERT_TRUE(answer.ok()) << reply.dump();
    EXPECT_TRUE((*answer)["n"].is_number_integer() && (*answer)["ok"].is_boolean()) << answer->dump();
    EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");
  }
}

TEST_F(Serve, ToldToEndItLetsAnswersEnd) {
  start();
  const Socket client(port_);
  client.send_text(request_text("POST", "/v1/chat/completions", chat(400).dump()));
  while (get("/metrics").body.find("open_requests 1") == std::string::npos)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(end(SIGTERM), 0);
  const Reply reply = parse_reply(client.read_until());
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.json()["usage"]["completion_tokens"], 400);
}

TEST_F(Serve, TokensAndTemplates) {
  start();
  const Json tokens = post("/tokenize", {{"content", "Hi"}}).json();
  EXPECT_EQ(tokens["count"], 2);
  EXPECT_EQ(post("/detokenize", {{"tokens", tokens["tokens"]}}).json()["content"], "Hi");
  EXPECT_EQ(post("/detokenize", {{"tokens", {1 << 30}}}).status, 400);
  EXPECT_EQ(post("/apply-template", {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}}).json()["prompt"],
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

}  // namespace
}  // namespace kinglet
