#include "server/access.h"

#include <gtest/gtest.h>

namespace kinglet::server {
namespace {

HttpRequest request(std::string host, std::string authorization = "", std::string origin = "") {
  HttpRequest out;
  out.method = "POST";
  out.path = "/v1/models";
  out.host = std::move(host);
  out.authorization = std::move(authorization);
  out.origin = std::move(origin);
  return out;
}

int status(const Access& access, const HttpRequest& r) {
  const auto refusal = access.refusal(r);
  return refusal ? refusal->status : 200;
}

TEST(AccessTest, OthersThanThisMachineNeedKeys) {
  EXPECT_FALSE(Access::create({.loopback = false}).ok());
  EXPECT_FALSE(Access::create({.keys = "# none\n\n", .loopback = false}).ok());
  EXPECT_TRUE(Access::create({.keys = "a-key-of-sixteen-or-more", .loopback = false}).ok());
  EXPECT_FALSE(Access::create({.keys = "short"}).ok());
  EXPECT_FALSE(Access::create({.keys = "sha256:12"}).ok());
}

TEST(AccessTest, KeysArePlainOrHashed) {
  const auto access = Access::create({.keys = "a-key-of-sixteen-or-more\r\n# comment\n"});
  ASSERT_TRUE(access.ok()) << access.status().text();
  EXPECT_EQ(status(*access, request("localhost")), 401);
  EXPECT_EQ(status(*access, request("localhost", "Bearer wrong")), 401);
  EXPECT_EQ(status(*access, request("localhost", "a-key-of-sixteen-or-more")), 401);
  EXPECT_EQ(status(*access, request("localhost", "Bearer a-key-of-sixteen-or-more")), 200);
  HttpRequest health = request("localhost");
  health.path = "/health";
  EXPECT_EQ(status(*access, health), 200);

  const auto hashed =
      Access::create({.keys = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"});
  ASSERT_TRUE(hashed.ok());
  EXPECT_EQ(status(*hashed, request("localhost", "Bearer abc")), 200);  // FIPS 180-2, appendix B.1
  EXPECT_EQ(status(*hashed, request("localhost", "Bearer abd")), 401);
}

TEST(AccessTest, LoopbackAnswersToItsOwnNames) {
  const auto access = Access::create({.hosts = {"kinglet.example"}});
  ASSERT_TRUE(access.ok());
  for (const char* host : {"localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "kinglet.example:80"})
    EXPECT_EQ(status(*access, request(host)), 200) << host;
  for (const char* host : {"evil.example", "localhost.evil.example", "127.evil.example", "[::2]:80"})
    EXPECT_EQ(status(*access, request(host)), 403) << host;
}

TEST(AccessTest, PagesOfOthersAreRefused) {
  const auto access = Access::create({.origins = {"https://chat.example"}});
  ASSERT_TRUE(access.ok());
  EXPECT_EQ(status(*access, request("localhost:80", "", "http://localhost:80")), 200);
  EXPECT_EQ(status(*access, request("localhost:80", "", "https://chat.example")), 200);
  EXPECT_EQ(status(*access, request("localhost:80", "", "https://evil.example")), 403);
  EXPECT_EQ(status(*access, request("localhost:80", "", "null")), 403);
  EXPECT_FALSE(access->origin_headers(request("localhost", "", "https://chat.example")).empty());
  EXPECT_TRUE(access->origin_headers(request("localhost")).empty());
}

}  // namespace
}  // namespace kinglet::server
