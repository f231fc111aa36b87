// The interfaces of `kinglet serve` besides plain chat: tools, responses, embeddings, Ollama's calls.
#include <cmath>

#include "serve_fixture.h"

namespace kinglet {
namespace {

class ServeApi : public Serve {
 protected:
  static Json weather() {
    return Json::parse(R"({"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
      "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
      "required": ["city", "days"], "additionalProperties": false}}})");
  }
  static Json with_tools(std::string_view choice) {
    return {{"messages", {{{"role", "user"}, {"content", "Hi"}}}},
            {"tools", Json::array({weather()})},
            {"tool_choice", choice},
            {"parallel_tool_calls", false},
            {"max_tokens", 300},
            {"seed", 5}};
  }
  static std::vector<Json> lines(const std::string& body) {
    std::vector<Json> out;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find('\n', at);
      out.push_back(*parse_json(body.substr(at, end - at)));
      at = end + 1;
    }
    return out;
  }
};

TEST_F(ServeApi, ARequiredToolIsCalledWithArgumentsOfItsSchema) {
  start();
  Json request = with_tools("required");
  for (int seed = 0; seed < 5; ++seed) {
    request["seed"] = seed;
    const Json choice = post("/v1/chat/completions", request).json()["choices"][0];
    EXPECT_EQ(choice["finish_reason"], "tool_calls") << choice;
    EXPECT_TRUE(choice["message"]["content"].is_null());
    ASSERT_EQ(choice["message"]["tool_calls"].size(), 1u) << choice;
    const Json call = choice["message"]["tool_calls"][0];
    EXPECT_EQ(call["function"]["name"], "get_weather");
    const Json arguments = *parse_json(call["function"]["arguments"].get<std::string>());
    EXPECT_TRUE(arguments["city"].is_string() && arguments["days"].get<int>() >= 1 &&
                arguments["days"].get<int>() <= 9);
  }
}

TEST_F(ServeApi, AStreamedCallIsTheWholeOne) {
  start();
  Json request = with_tools("required");
  const Json whole = post("/v1/chat/completions", request).json()["choices"][0]["message"]["tool_calls"][0]["function"];
  request["stream"] = true;
  std::string name, arguments, finish;
  for (const std::string& event : post("/v1/chat/completions", request).events()) {
    if (event == "[DONE]") break;
    const Json choice = (*parse_json(event))["choices"][0];
    if (choice["finish_reason"].is_string()) finish = choice["finish_reason"];
    if (!choice["delta"].contains("tool_calls")) continue;
    const Json function = choice["delta"]["tool_calls"][0]["function"];
    name += function.value("name", "");
    arguments += function.value("arguments", "");
  }
  EXPECT_EQ(name, whole["name"]);
  EXPECT_EQ(arguments, whole["arguments"]);
  EXPECT_EQ(finish, "tool_calls");
}

TEST_F(ServeApi, ConversationsWithCallsReachTheTemplate) {
  start();
  Json request = with_tools("none");
  request["messages"] = Json::parse(R"([{"role": "user", "content": "Hi"},
    {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
      "function": {"name": "get_weather", "arguments": "{\"city\": \"Ulm\", \"days\": 1}"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "rain"}])");
  for (const char* name : {"parallel_tool_calls", "max_tokens", "seed"}) request.erase(name);
  const std::string prompt = post("/apply-template", request).json()["prompt"];
  EXPECT_NE(prompt.find("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\":\"Ulm\",\"days\":1}}"),
            std::string::npos)
      << prompt;
  EXPECT_NE(prompt.find("<tool_response>\nrain"), std::string::npos) << prompt;
  EXPECT_EQ(prompt.find("<tools>"), std::string::npos) << "no calls are wanted";
  request["tool_choice"] = "required";
  const std::string forced = post("/apply-template", request).json()["prompt"];
  EXPECT_NE(forced.find("<tools>\n{\"type\":\"function\""), std::string::npos) << forced;
  EXPECT_TRUE(forced.ends_with("<tool_call>\n")) << "the answer begins as it must";
}

TEST_F(ServeApi, ToolsAndASchemaTogether) {
  start();
  Json request = with_tools("auto");
  request["response_format"] = {{"type", "json_schema"},
                                {"json_schema", {{"name", "x"}, {"schema", {{"type", "boolean"}}}}}};
  for (int seed = 0; seed < 4; ++seed) {
    request["seed"] = seed;
    const Json choice = post("/v1/chat/completions", request).json()["choices"][0];
    const Json content = choice["message"]["content"];
    EXPECT_TRUE(content == "true" || content == "false" || choice["finish_reason"] == "tool_calls") << choice;
  }
}

TEST_F(ServeApi, ResponsesWholeAndAsEvents) {
  start();
  Json request = {{"input", "Hi"}, {"instructions", "Be brief."}, {"max_output_tokens", 12}, {"temperature", 0}};
  const Reply reply = post("/v1/responses", request);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json whole = reply.json();
  EXPECT_EQ(whole["object"], "response");
  EXPECT_EQ(whole["instructions"], "Be brief.");
  const std::string text = whole["output"][0]["content"][0]["text"];
  request["stream"] = true;
  const auto events = post("/v1/responses", request).events();
  std::string streamed;
  std::vector<std::string> types;
  for (const std::string& data : events) {
    const Json event = *parse_json(data);
    EXPECT_EQ(event["sequence_number"], types.size());
    types.push_back(event["type"]);
    if (types.back() == "response.output_text.delta") streamed += event["delta"].get<std::string>();
  }
  EXPECT_EQ(streamed, text);
  EXPECT_EQ(types.front(), "response.created");
  EXPECT_EQ(types.back(), "response." + whole["status"].get<std::string>());
  for (const char* name : {"previous_response_id", "conversation", "no_such"}) {
    Json wrong = request;
    wrong[name] = "x";
    EXPECT_EQ(post("/v1/responses", wrong).json()["error"]["param"], name);
  }
  request["input"] = Json::array({Json{{"type", "item_reference"}, {"id", "x"}}});
  EXPECT_EQ(post("/v1/responses", request).json()["error"]["param"], "input");
}

TEST_F(ServeApi, ResponsesCallFunctions) {
  start();
  Json tool = weather()["function"];
  tool["type"] = "function";
  const Json reply = post("/v1/responses", {{"input", "Hi"},
                                            {"tools", Json::array({tool})},
                                            {"tool_choice", {{"type", "function"}, {"name", "get_weather"}}},
                                            {"max_output_tokens", 300}})
                         .json();
  ASSERT_EQ(reply["output"].size(), 1u) << reply;
  EXPECT_EQ(reply["output"][0]["type"], "function_call");
  EXPECT_TRUE(parse_json(reply["output"][0]["arguments"].get<std::string>()).ok());
  const Json next = {
      {"input",
       Json::array(
           {Json{{"role", "user"}, {"content", "Hi"}}, reply["output"][0],
            Json{{"type", "function_call_output"}, {"call_id", reply["output"][0]["call_id"]}, {"output", "rain"}}})},
      {"max_output_tokens", 5}};
  EXPECT_EQ(post("/v1/responses", next).status, 200);
}

TEST_F(ServeApi, EmbeddingsAreOfLengthOneAndTheSameForTheSameText) {
  start();
  const Reply reply = post("/v1/embeddings", {{"input", {"one", "two", "one"}}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json data = reply.json()["data"];
  ASSERT_EQ(data.size(), 3u);
  EXPECT_EQ(data[0]["embedding"], data[2]["embedding"]);
  EXPECT_NE(data[0]["embedding"], data[1]["embedding"]);
  double sum = 0;
  for (const Json& x : data[0]["embedding"]) sum += x.get<double>() * x.get<double>();
  EXPECT_NEAR(sum, 1, 1e-5);
  for (const Json& wrong : {Json(""), Json(Json::array()), Json(1), Json({"a", 1})}) {
    EXPECT_EQ(post("/v1/embeddings", {{"input", wrong}}).json()["error"]["param"], "input") << wrong;
  }
  EXPECT_EQ(post("/v1/embeddings", {{"input", "x"}, {"dimensions", 3}}).json()["error"]["param"], "dimensions");
  EXPECT_EQ(post("/v1/embeddings", {{"input", std::string(5000, 'x')}}).json()["error"]["code"],
            "context_length_exceeded");
}

TEST_F(ServeApi, OllamasCalls) {
  start();
  const Json options = {{"num_predict", 8}, {"temperature", 0}};
  Json request = {
      {"model", "tiny:latest"}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}, {"options", options}};
  const auto pieces = lines(post("/api/chat", request).body);
  ASSERT_GE(pieces.size(), 2u);
  EXPECT_EQ(pieces.back()["done"], true);
  EXPECT_GT(pieces.back()["prompt_eval_count"], 0);
  std::string text;
  for (const Json& piece : pieces) text += piece["message"]["content"].get<std::string>();
  request["stream"] = false;
  EXPECT_EQ(post("/api/chat", request).json()["message"]["content"], text);

  const Json generated = post("/api/generate", {{"prompt", "Hi"}, {"stream", false}, {"options", options}}).json();
  EXPECT_EQ(generated["response"], text);
  EXPECT_EQ(post("/api/generate", {{"stream", false}}).json()["done_reason"], "load");
  EXPECT_EQ(get("/api/tags").json()["models"][0]["name"], "tiny");
  EXPECT_EQ(post("/api/show", {{"model", "tiny"}}).json()["capabilities"], (Json{"completion", "tools"}));
  EXPECT_EQ(post("/api/embed", {{"input", {"a", "b"}}}).json()["embeddings"].size(), 2u);
  EXPECT_TRUE(get("/api/version").json()["version"].is_string());
  const Reply wrong =
      post("/api/chat", {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}, {"options", {{"mirostat", 2}}}});
  EXPECT_EQ(wrong.status, 400);
  EXPECT_TRUE(wrong.json()["error"].is_string());
}

TEST_F(ServeApi, OllamaToolsAndFormats) {
  start();
  const Json messages = {{{"role", "user"}, {"content", "Hi"}}};
  const Json schema = {{"type", "object"}, {"properties", {{"n", {{"enum", {1, 2}}}}}}, {"required", {"n"}}};
  const Json reply =
      post("/api/chat",
           {{"messages", messages}, {"format", schema}, {"stream", false}, {"options", {{"num_predict", 100}}}})
          .json();
  const Json answer = *parse_json(reply["message"]["content"].get<std::string>());
  EXPECT_TRUE(answer["n"] == 1 || answer["n"] == 2) << answer;
  const Json history = Json::parse(R"([{"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Ulm"}}}]},
    {"role": "tool", "tool_name": "get_weather", "content": "rain"}])");
  const Json next = {
      {"messages", history}, {"tools", Json::array({weather()})}, {"stream", false}, {"options", {{"num_predict", 5}}}};
  EXPECT_EQ(post("/api/chat", next).status, 200);
}

TEST_F(ServeApi, ASchemaThatCannotBeHeldIsTheFaultOfItsParameter) {
  start();
  const Json schema = {{"type", "integer"}, {"multipleOf", 3}}, messages = {{{"role", "user"}, {"content", "Hi"}}};
  const auto error_of = [&](const char* path, const Json& body) {
    const Reply reply = post(path, body);
    EXPECT_EQ(reply.status, 400) << path;
    EXPECT_NE(reply.body.find("multipleOf"), std::string::npos) << reply.body;
    return reply.json()["error"];
  };
  const Json format = {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", schema}}}};
  const Json chat = error_of("/v1/chat/completions", {{"messages", messages}, {"response_format", format}});
  EXPECT_EQ(chat["param"], "response_format");
  EXPECT_EQ(chat["code"], "unsupported_schema");
  const Json text = {{"format", {{"type", "json_schema"}, {"name", "x"}, {"schema", schema}}}};
  EXPECT_EQ(error_of("/v1/responses", {{"input", "Hi"}, {"text", text}})["param"], "text.format");
  error_of("/api/chat", {{"messages", messages}, {"format", schema}});
}

// Compiled once for all requests that ask for the same, whatever the interface, and counted.
TEST_F(ServeApi, AFormIsCompiledOnce) {
  start();
  const Json schema = {{"type", "object"}, {"properties", {{"n", {{"enum", {1, 2}}}}}}, {"required", {"n"}}};
  Json request = chat(40);
  request["response_format"] = {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", schema}}}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(post("/v1/chat/completions", request).status, 200);
  const Json raw =
      post("/api/generate", {{"prompt", "Hi"}, {"raw", true}, {"format", schema}, {"stream", false}}).json();
  EXPECT_TRUE(parse_json(raw["response"].get<std::string>()).ok()) << raw;
  request["tools"] = Json::array({weather()});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(post("/v1/chat/completions", request).status, 200);
  const std::string metrics = get("/metrics").body;
  EXPECT_NE(metrics.find("kinglet_grammars_compiled_total{model=\"tiny\"} 2\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("kinglet_grammars_found_total{model=\"tiny\"} 4\n"), std::string::npos) << metrics;
}

// Each copy of the tiny model is a model of its own; memory has room for one of them.
TEST_F(ServeApi, ModelsTakeTurnsInMemory) {
  for (const char* name : {"second", "broken"})
    fs::copy(folder_.file("tiny"), folder_.file(name), fs::copy_options::recursive);
  ASSERT_TRUE(write_file(fs::path(folder_.file("broken")) / "model.safetensors", "no tensors").ok());
  start();
  EXPECT_EQ(post("/v1/chat/completions", chat(5)).status, 200);
  uint64_t one = 0;
  for (const char* use : {"weights", "packed weights", "keys and values", "activations"})
    one += static_cast<uint64_t>(metric("kinglet_memory_bytes{use=\"" + std::string(use) + "\"}"));
  end(SIGTERM);

  start(
      {folder_.file("second"), folder_.file("broken"), "--memory", std::to_string(one * 3 / 2), "--speculate", "off"});
  const auto loaded = [&] {
    std::string out;
    const Json models = get("/v1/models").json();
    for (const Json& model : models["data"])
      if (model["loaded"] == true) out += model["id"].get<std::string>() + " ";
    return out;
  };
  EXPECT_EQ(get("/v1/models").json()["data"].size(), 3u);
  Json second = chat(5);
  second["model"] = "second";
  const Json first = post("/v1/chat/completions", chat(5)).json();
  EXPECT_NE(loaded().find("tiny"), std::string::npos);
  EXPECT_EQ(post("/v1/chat/completions", second).json()["choices"], first["choices"]) << "the same weights";
  EXPECT_EQ(loaded(), "second ");
  EXPECT_EQ(metric("kinglet_model_unloads_total") >= 1, true);
  EXPECT_EQ(get("/v1/models/tiny").json()["context_length"], 2000) << "known without loading it";
  EXPECT_EQ(post("/api/show", {{"model", "tiny:latest"}}).status, 200);
  EXPECT_EQ(loaded(), "second ");
  Json broken = chat(5);
  broken["model"] = "broken";
  const Reply failed = post("/v1/chat/completions", broken);
  EXPECT_EQ(failed.status, 500);
  EXPECT_EQ(failed.json()["error"]["code"], "model_unavailable");
  EXPECT_EQ(post("/v1/chat/completions", second).status, 200) << "and nobody else has that error";
  {
    const Socket client(port_);
    Json endless = chat(1900);
    endless["model"] = "second";
    endless["stream"] = true;
    client.send_text(request_text("POST", "/v1/chat/completions", endless.dump()));
    client.read_until("data: ");
    const Reply busy = post("/v1/chat/completions", chat(5));
    EXPECT_EQ(busy.status, 503) << busy.body;
    EXPECT_NE(busy.head.find("Retry-After"), std::string::npos) << busy.head;
    EXPECT_EQ(busy.json()["error"]["type"], "server_error");
    EXPECT_EQ(get("/health").status, 200);
  }
  // The client is gone: its model answers nobody any more.
  int status = 503;
  for (int i = 0; i < 500 && status == 503; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    status = post("/v1/chat/completions", chat(5)).status;
  }
  EXPECT_EQ(status, 200);
  EXPECT_EQ(loaded(), "tiny ");
}

// Adapters are models of their own to clients; requests for several of them share batches.
TEST_F(ServeApi, EachRequestChoosesItsAdapter) {
  const fs::path fixtures = fs::path(kFixture).parent_path();
  const std::string adapter = (fixtures / "lora-llama-3.2").string();
  if (!fs::exists(adapter)) GTEST_SKIP() << "shared fixture is absent: " << adapter;
  for (const char* name : {"config.json", "model.safetensors"})
    fs::copy(fixtures / "llama-3.2" / name, fs::path(folder_.file("tiny")) / name,
             fs::copy_options::overwrite_existing);
  start({"--adapter", "loud=" + adapter + "=4", "--adapter", "odd=" + adapter + "=-4"});
  const std::vector<std::string> names = {"tiny", "tiny:loud", "tiny:odd"};
  const Json listed = get("/v1/models").json()["data"];
  ASSERT_EQ(listed.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(listed[i]["id"], names[i]);
  EXPECT_EQ(get("/v1/models/tiny:odd").json()["parent"], "tiny");

  const auto answer = [&](const std::string& name) {
    Json request = chat(20);
    request["model"] = name;
    const Json reply = post("/v1/chat/completions", request).json();
    EXPECT_EQ(reply["model"], name);
    return reply["choices"][0]["message"]["content"].get<std::string>();
  };
  std::vector<std::string> alone, together(9);
  for (const std::string& name : names) alone.push_back(answer(name));
  EXPECT_NE(alone[0], alone[1]);
  EXPECT_NE(alone[1], alone[2]);
  std::vector<std::thread> clients;
  for (size_t i = 0; i < together.size(); ++i) clients.emplace_back([&, i] { together[i] = answer(names[i % 3]); });
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < together.size(); ++i) EXPECT_EQ(together[i], alone[i % 3]) << i;
  Json unknown = chat(5);
  unknown["model"] = "tiny:soft";
  EXPECT_EQ(post("/v1/chat/completions", unknown).json()["error"]["code"], "model_not_found");
}

}  // namespace
}  // namespace kinglet
