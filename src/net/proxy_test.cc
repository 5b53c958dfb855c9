#include "net/proxy.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <initializer_list>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace shoal {
namespace {

// The environment names no proxy but what a test sets.
class ProxyTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                             "no_proxy", "NO_PROXY", "HTTP_PROXY"}) {
      if (const char* const value = std::getenv(name)) before_[name] = value;
      unsetenv(name);
    }
  }
  void TearDown() override {
    for (const std::string& name : set_) unsetenv(name.c_str());
    for (const auto& [name, value] : before_) setenv(name.c_str(), value.c_str(), 1);
  }
  void Set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }

 private:
  std::map<std::string, std::string> before_;
  std::vector<std::string> set_;
};

TEST_F(ProxyTest, ThereIsNoneUnlessTheEnvironmentNamesOne) {
  EXPECT_EQ(ProxyOf("http://store.example").variable, "");
  Set("HTTP_PROXY", "http://a:1");  // what a CGI program has from its client
  EXPECT_EQ(ProxyOf("http://store.example").url, "");
}

TEST_F(ProxyTest, TheVariableOfTheSchemeComesBeforeThatOfAll) {
  Set("ALL_PROXY", "http://e:5");
  EXPECT_EQ(ProxyOf("http://store.example").variable, "ALL_PROXY");
  Set("all_proxy", "http://d:4");
  Set("HTTPS_PROXY", "http://c:3");
  EXPECT_EQ(ProxyOf("https://store.example").variable, "HTTPS_PROXY");
  Set("https_proxy", "http://b:2");
  EXPECT_EQ(ProxyOf("http://store.example").variable, "all_proxy");
  Set("http_proxy", "http://a:1");
  EXPECT_EQ(ProxyOf("http://store.example").url, "http://a:1");
  EXPECT_EQ(ProxyOf("https://store.example").url, "http://b:2");
  EXPECT_EQ(ProxyOf("https://store.example").place, "b port 2");
  EXPECT_EQ(ProxyOf("https://[::1]:9000").variable, "https_proxy");
}

TEST_F(ProxyTest, AProxyOfHttpTakesRequestsForHttpAndTunnelsTheRest) {
  for (const auto& [url, place, takes_requests] : {std::tuple{"http://a:1", "a port 1", true},
                                                   {"https://a", "a port 1080", true},
                                                   {"a:1", "a port 1", true},
                                                   {"ftp.a:1", "ftp.a port 1", true},
                                                   {"socks5h://a:1", "a port 1", false},
                                                   {"socks4://a:1", "a port 1", false}}) {
    Set("all_proxy", url);
    EXPECT_EQ(ProxyOf("http://store.example").takes_requests, takes_requests) << url;
    EXPECT_FALSE(ProxyOf("https://store.example").takes_requests) << url;
    EXPECT_EQ(ProxyOf("http://store.example").place, place) << url;
  }
}

TEST_F(ProxyTest, ANameAndAPasswordInItsUrlAreForTheProxy) {
  Set("http_proxy", "http://me:p%40ss@a:1");
  EXPECT_EQ(ProxyOf("http://store.example").authorization, "Basic bWU6cEBzcw==");  // me:p@ss
  Set("https_proxy", "http://me:p%40ss@a:1");
  EXPECT_EQ(ProxyOf("https://store.example").authorization, "") << "libcurl says it to CONNECT";
}

TEST_F(ProxyTest, HostsThatNoProxyNamesAreReachedWithoutIt) {
  Set("http_proxy", "http://a:1");
  Set("NO_PROXY", "store.example");
  EXPECT_EQ(ProxyOf("http://bucket.store.example:8080").variable, "");
  EXPECT_EQ(ProxyOf("http://elsewhere.example").variable, "http_proxy");
  Set("no_proxy", "elsewhere.example,::1");
  EXPECT_EQ(ProxyOf("http://bucket.store.example:8080").variable, "http_proxy");
  EXPECT_EQ(ProxyOf("http://elsewhere.example").variable, "");
  EXPECT_EQ(ProxyOf("http://[::1]:9000").variable, "");
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
  for (const char* hosts :
       {"10.1.2.3", "10.0.0.0/8", "10.1.2.9/24", "0.0.0.0/0", "x,10.1.2.3", "*"})
    EXPECT_TRUE(NamesHost(hosts, "10.1.2.3")) << hosts;
  for (const char* hosts : {"10.1.2.4", "11.0.0.0/8", "2.3", ".3", "10.1.2.3/33", "::/0", "3"})
    EXPECT_FALSE(NamesHost(hosts, "10.1.2.3")) << hosts;
  EXPECT_TRUE(NamesHost("fd00::/8", "fd12::1"));
  EXPECT_TRUE(NamesHost("FD12:0::1", "fd12::1"));
  EXPECT_FALSE(NamesHost("fe80::/10,10.0.0.0/8", "fd12::1"));
}

}  // namespace
}  // namespace shoal
