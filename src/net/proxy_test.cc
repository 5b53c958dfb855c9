#include "net/proxy.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "testing/proxy_environment.h"

namespace shoal {
namespace {

class ProxyTest : public testing::Test {
 protected:
  void Set(const std::string& name, const std::string& value) { environment_.Set(name, value); }
  static Proxy Of(const std::string& origin) { return ProxyOf(origin).value(); }

 private:
  ProxyEnvironment environment_;
};

TEST_F(ProxyTest, ThereIsNoneUnlessTheEnvironmentNamesOne) {
  EXPECT_EQ(Of("http://store.example").variable, "");
  Set("HTTP_PROXY", "http://a:1");  // what a CGI program has from its client
  EXPECT_EQ(Of("http://store.example").url, "");
}

TEST_F(ProxyTest, TheVariableOfTheSchemeComesBeforeThatOfAll) {
  Set("ALL_PROXY", "http://e:5");
  EXPECT_EQ(Of("http://store.example").variable, "ALL_PROXY");
  Set("all_proxy", "http://d:4");
  Set("HTTPS_PROXY", "http://c:3");
  EXPECT_EQ(Of("https://store.example").variable, "HTTPS_PROXY");
  Set("https_proxy", "http://b:2");
  EXPECT_EQ(Of("http://store.example").variable, "all_proxy");
  Set("http_proxy", "http://a:1");
  EXPECT_EQ(Of("http://store.example").url, "http://a:1");
  EXPECT_EQ(Of("https://store.example").url, "http://b:2");
  EXPECT_EQ(Of("https://store.example").place, "b port 2");
  EXPECT_EQ(Of("https://[::1]:9000").variable, "https_proxy");
}

TEST_F(ProxyTest, AProxyOfHttpTakesRequestsForHttpAndTunnelsTheRest) {
  for (const auto& [url, place, takes_requests] : {std::tuple{"http://a:1", "a port 1", true},
                                                   {"https://a", "a port 443", true},
                                                   {"http://a", "a port 1080", true},
                                                   {"http://[::1]:1", "::1 port 1", true},
                                                   {"a:1", "a port 1", true},
                                                   {"ftp.a:1", "ftp.a port 1", true},
                                                   {"socks5h://a:1", "a port 1", false},
                                                   {"socks4://a:1", "a port 1", false}}) {
    Set("all_proxy", url);
    EXPECT_EQ(Of("http://store.example").takes_requests, takes_requests) << url;
    EXPECT_FALSE(Of("https://store.example").takes_requests) << url;
    EXPECT_EQ(Of("http://store.example").place, place) << url;
  }
}

TEST_F(ProxyTest, ANameAndAPasswordInItsUrlAreForTheProxy) {
  Set("http_proxy", "http://me:p%40ss@a:1");
  EXPECT_EQ(Of("http://store.example").authorization, "Basic bWU6cEBzcw==");  // me:p@ss
  Set("https_proxy", "http://me:p%40ss@a:1");
  EXPECT_EQ(Of("https://store.example").authorization, "") << "libcurl says it to CONNECT";
}

TEST_F(ProxyTest, WhatNamesNoProxyIsSaidWithoutItsPassword) {
  for (const char* url : {"http://me:sec ret@a:1", "httpx://me:secret@a:1",
                          "http://me:secret@a:99999", "http://me:secret@"}) {
    Set("http_proxy", url);
    const Result<Proxy> proxy = ProxyOf("http://store.example");
    ASSERT_FALSE(proxy) << url;
    EXPECT_EQ(proxy.error().code, Errc::kUnusable);
    EXPECT_EQ(proxy.error().detail,
              "http_proxy names no proxy: a URL like http://USER:PASSWORD@HOST:PORT, its signs "
              "encoded");
  }
  Set("no_proxy", "*");
  EXPECT_EQ(Of("http://store.example").variable, "") << "nobody asks for it";
}

TEST_F(ProxyTest, HostsThatNoProxyNamesAreReachedWithoutIt) {
  Set("http_proxy", "http://a:1");
  Set("NO_PROXY", "store.example");
  EXPECT_EQ(Of("http://bucket.store.example:8080").variable, "");
  EXPECT_EQ(Of("http://elsewhere.example").variable, "http_proxy");
  Set("no_proxy", "elsewhere.example,::1");
  EXPECT_EQ(Of("http://bucket.store.example:8080").variable, "http_proxy");
  EXPECT_EQ(Of("http://elsewhere.example").variable, "");
  EXPECT_EQ(Of("http://[::1]:9000").variable, "");
}

TEST(NamesHostTest, AHostIsNamedByItselfADomainAboveItOrAStar) {
  for (const char* hosts : {"a.example", ".a.example", "x.example, a.example", "x a.example",
                            "EXAMPLE", "a.example.", "*", "b.a.example"})
    EXPECT_TRUE(NamesHost(hosts, "b.a.example")) << hosts;
  for (const char* hosts :
       {"", ",", "c.a.example", "xample", "a.example.b", ".", "*.example", "10.0.0.0/8"})
    EXPECT_FALSE(NamesHost(hosts, "b.a.example")) << hosts;
  EXPECT_TRUE(NamesHost("a.example", "A.Example."));
}

TEST(NamesHostTest, AnAddressIsNamedByItselfOrItsNetwork) {
  for (const char* hosts : {"10.1.2.3", "10.0.0.0/8", "10.1.2.9/24", "x,10.1.2.3", "*"})
    EXPECT_TRUE(NamesHost(hosts, "10.1.2.3")) << hosts;
  for (const char* hosts : {"10.1.2.4", "11.0.0.0/8", "2.3", ".3", "10.1.2.3/33", "::/0", "3"})
    EXPECT_FALSE(NamesHost(hosts, "10.1.2.3")) << hosts;
  EXPECT_TRUE(NamesHost("fd00::/8", "fd12::1"));
  EXPECT_TRUE(NamesHost("FD12:0::1", "fd12::1"));
  EXPECT_FALSE(NamesHost("fe80::/10,10.0.0.0/8", "fd12::1"));
}

}  // namespace
}  // namespace shoal
