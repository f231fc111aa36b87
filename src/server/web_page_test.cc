#include "server/web_page.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <map>

namespace kinglet::server {
namespace {

HttpRequest get(std::string path) {
  HttpRequest request;
  request.method = "GET";
  request.path = std::move(path);
  return request;
}

std::map<std::string, std::string> headers_of(const HttpReply& reply) {
  return {reply.headers.begin(), reply.headers.end()};
}

std::string unpacked(const std::string& packed, size_t size) {
  std::string out(size, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.total_out, size);
  inflateEnd(&stream);
  return out;
}

TEST(WebPage, ItsFilesHaveTheirTypes) {
  const std::map<std::string, std::string> types = {{"/", "text/html"},
                                                    {"/app.js", "text/javascript"},
                                                    {"/app.css", "text/css"},
                                                    {"/icon.svg", "image/svg+xml"},
                                                    {"/licenses.txt", "text/plain"}};
  for (const auto& [path, type] : types) {
    const auto reply = web_page_reply(get(path));
    ASSERT_TRUE(reply) << path;
    EXPECT_TRUE(reply->type.starts_with(type)) << reply->type;
    EXPECT_FALSE(reply->body.empty());
    EXPECT_EQ(headers_of(*reply)["X-Content-Type-Options"], "nosniff");
  }
  EXPECT_FALSE(web_page_reply(get("/index.html.map")));
  HttpRequest post = get("/");
  post.method = "POST";
  EXPECT_FALSE(web_page_reply(post));
}

TEST(WebPage, WhatTheBrowserHasIsNotSentAgain) {
  HttpRequest request = get("/app.js");
  const std::string etag = headers_of(*web_page_reply(request))["ETag"];
  request.if_none_match = "\"other\", " + etag;
  EXPECT_EQ(web_page_reply(request)->status, 304);
  EXPECT_TRUE(web_page_reply(request)->body.empty());
  request.if_none_match = "\"other\"";
  EXPECT_EQ(web_page_reply(request)->status, 200);
}

TEST(WebPage, PackedForThoseThatTakeIt) {
  const std::string plain = web_page_reply(get("/app.js"))->body;
  HttpRequest request = get("/app.js");
  request.accept_encoding = "deflate, gzip, br";
  const auto packed = web_page_reply(request);
  EXPECT_EQ(headers_of(*packed)["Content-Encoding"], "gzip");
  EXPECT_LT(packed->body.size(), plain.size() / 2);
  EXPECT_EQ(unpacked(packed->body, plain.size()), plain);
  request.accept_encoding = "gzip;q=0";
  EXPECT_EQ(web_page_reply(request)->body, plain);
}

TEST(WebPage, ThePolicyLetsNoForeignScriptRun) {
  const std::string policy = headers_of(*web_page_reply(get("/")))["Content-Security-Policy"];
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(policy.find("connect-src 'self'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(web_page_reply(get("/"))->body.find("<script>"), std::string::npos);
}

}  // namespace
}  // namespace kinglet::server
