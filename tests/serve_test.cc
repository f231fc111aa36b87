// `kinglet serve` as its clients see it, over a socket, on a tiny model.
#include "serve_fixture.h"

namespace kinglet {
namespace {

constexpr char kKey[] = "a-key-of-sixteen-or-more";

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
  start({"--parallel", "1", "--speculate", "off"});  // so that it does not end by itself meanwhile
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
  Json request = chat(1900);
  request["stream"] = true;
  client.send_text(request_text("POST", "/v1/chat/completions", request.dump()));
  const std::string begun = client.read_until("data: ");
  EXPECT_EQ(end(SIGTERM), 0);
  const Reply reply = parse_reply(begun + client.read_until());
  EXPECT_EQ(reply.status, 200);
  const auto events = reply.events();
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_NE(events[events.size() - 2].find("\"length\""), std::string::npos) << events[events.size() - 2];
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
