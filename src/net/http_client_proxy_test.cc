// The client where the environment names a proxy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>

#include "testing/http_client_fixture.h"
#include "testing/scripted_http_server.h"
#include "testing/tunnel_proxy.h"

namespace shoal {
namespace {

TEST_F(HttpClientTest, AProxyThatIsDownIsCalledAProxy) {
  const auto closed = [] {
    return ScriptedHttpServer([](const auto&) { return Answer("200 OK", "", ""); }).origin();
  };
  const std::string proxy = closed();
  const std::string endpoint = closed();
  environment_.Set("http_proxy", proxy);
  const Result<> sent = Client()->Send({.origin = endpoint, .target = "/"}, kept_, Soon());
  const Result<> directly =
      Client({.use_proxy = false})->Send({.origin = endpoint, .target = "/"}, kept_, Soon());
  ASSERT_FALSE(sent || directly);
  EXPECT_THAT(sent.error().detail, testing::EndsWith("; that is the proxy of http_proxy"));
  EXPECT_THAT(directly.error().detail, testing::Not(testing::HasSubstr("proxy")));
}

TEST_F(HttpClientTest, AProxyThatRefusesToConnectIsNamedAndSaysWhatItWants) {
  for (const auto& [status, code, words] :
       {std::tuple{"407 Proxy Authentication Required", Errc::kUnusable,
                   "asks for a user name and a password: http://USER:PASSWORD@HOST:PORT"},
        {"403 Forbidden", Errc::kUnusable,
         "refuses to connect us; no_proxy names hosts to reach without it"},
        {"503 Busy", Errc::kUnreachable, ""}}) {
    ScriptedHttpServer proxy([&, status = status](const auto&) { return Answer(status, "", ""); });
    environment_.Set("https_proxy", "http://me:secret@" + proxy.authority());
    const Result<> sent =
        Client()->Send({.origin = "https://store.example", .target = "/"}, kept_, Soon());
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, code) << sent.error().detail;
    if (code != Errc::kUnusable) continue;
    const std::string port = proxy.authority().substr(proxy.authority().find(':') + 1);
    EXPECT_EQ(sent.error().detail,
              "https://store.example: HTTP " + std::string(status).substr(0, 3) +
                  " of the proxy of https_proxy, 127.0.0.1 port " + port + ", which " + words);
  }
}

TEST_F(HttpClientTest, UsesTheProxyOfTheEnvironmentUnlessToldNotTo) {
  ScriptedHttpServer proxy([](const auto&) { return Answer("200 OK", "", "proxy"); });
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", "server"); });
  environment_.Set("http_proxy", proxy.origin());
  KeepAnswer direct;
  const auto sent = Client()->Send({.origin = server.origin(), .target = "/"}, kept_, Soon());
  const auto sent_directly = Client({.use_proxy = false})
                                 ->Send({.origin = server.origin(), .target = "/"}, direct, Soon());
  ASSERT_TRUE(sent && sent_directly);
  EXPECT_EQ(kept_.body.text(), "proxy");
  EXPECT_EQ(direct.body.text(), "server");
  EXPECT_EQ(proxy.requests().size(), 1u);
}

TEST_F(HttpClientTest, AProxyIsGivenTheWholeUrlAndItsOwnPassword) {
  ScriptedHttpServer proxy([](const auto&) { return Answer("200 OK", "", "proxy"); });
  environment_.Set("http_proxy", "http://me:secret@" + proxy.authority());
  const auto client = Client();
  for (const char* const target : {"/a?b=%20c", "/d"})
    EXPECT_TRUE(
        client->Send({.origin = "http://store.example:8080", .target = target}, kept_, Soon()));
  const auto requests = proxy.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].target, "http://store.example:8080/a?b=%20c");
  EXPECT_EQ(requests[1].target, "http://store.example:8080/d");
  for (const ScriptedRequest& request : requests) {
    EXPECT_EQ(request.headers.at("host"), "store.example:8080");
    EXPECT_EQ(request.headers.at("proxy-authorization"), "Basic bWU6c2VjcmV0");  // me:secret
    EXPECT_EQ(request.connection, 0);
  }
}

TEST_F(HttpClientTest, ASocksProxyPassesBytesOnAndLooksNamesUpIfToldTo) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", "server"); });
  const std::string port = server.authority().substr(server.authority().find(':'));
  for (const auto& [scheme, host] :
       {std::pair{"socks5", "127.0.0.1"}, {"socks5h", "store.example"}}) {
    const TunnelProxy proxy(TunnelProxy::Protocol::kSocks5);
    environment_.Set("all_proxy", std::string(scheme) + "://" + proxy.authority());
    KeepAnswer kept;
    const Result<> sent =
        Client()->Send({.origin = "http://" + (host + port), .target = "/a"}, kept, Soon());
    ASSERT_TRUE(sent) << scheme << ": " << sent.error().detail;
    EXPECT_EQ(kept.body.text(), "server");
    EXPECT_EQ(server.requests().back().target, "/a");
    EXPECT_EQ(server.requests().back().headers.at("host"), host + port);
    EXPECT_EQ(proxy.tunnel_count(), 1);
  }
}

}  // namespace
}  // namespace shoal
