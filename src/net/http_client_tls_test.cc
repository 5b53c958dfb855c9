// The client over HTTPS, with a server whose certificates the tests make.
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sched.h>
#include <spdlog/fmt/fmt.h>
#include <sys/mount.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/public_key_pin.h"
#include "testing/offering_receiver.h"
#include "testing/proxy_environment.h"
#include "testing/temporary_directory.h"
#include "testing/test_authority.h"
#include "testing/tunnel_proxy.h"

namespace shoal {
namespace {

class Keep final : public HttpReceiver {
 public:
  ByteSink* Begin(HttpHead answer) override {
    head = std::move(answer);
    return &body;
  }
  HttpHead head;
  DocumentSink body{16 * kMiB};
};

// As OpenSSL looks for an authority in a directory of them.
std::string HashedName(const std::string& file) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_file(file.c_str(), "r"), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), &X509_free);
  return fmt::format("{:08x}.0", X509_subject_name_hash(certificate.get()));
}

class HttpClientTlsTest : public testing::Test {
 protected:
  void Serve(const TestAuthority::Issued& issued) {
    options_.certificate_file = issued.certificate_file;
    options_.key_file = issued.key_file;
    auto started = HttpServer::Start(
        options_,
        [this](const HttpCall& call) {
          ++call_count_;
          EXPECT_TRUE(call.secure);
          return HttpAnswer{
              200, {{"ETag", "\"e\""}}, call.target == "/large" ? large_ : call.target};
        },
        clock_);
    ASSERT_TRUE(started) << started.error().detail;
    server_ = *std::move(started);
    origin_ = "https://127.0.0.1:" + std::to_string(server_->port());
  }
  Result<> Send(const HttpClientOptions& options, const std::string& target = "/a") {
    return HttpClient::Create(options, clock_)
        .value()
        ->Send({.origin = origin_, .target = target}, kept_,
               Deadline::After(clock_, std::chrono::seconds(20)));
  }
  // Refused with a sentence that has `reason` in it, and nobody has seen the request.
  void ExpectRefused(const std::string& reason) {
    const Result<> outcome = Send({.ca_file = authority_.file()});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Errc::kUnusable) << outcome.error().detail;
    EXPECT_EQ(outcome.error().detail.substr(0, origin_.size() + 2), origin_ + ": ");
    EXPECT_NE(outcome.error().detail.find(reason), std::string::npos) << outcome.error().detail;
    EXPECT_EQ(call_count_, 0);
    EXPECT_EQ(kept_.head.status, 0);
    EXPECT_EQ(kept_.body.text(), "");
  }

  const std::string large_ = [] {
    std::string bytes(9 * kMiB + 1, '\0');
    uint32_t state = 1;
    for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return bytes;
  }();
  ProxyEnvironment environment_;
  SystemClock clock_;
  TestAuthority authority_;
  HttpServerOptions options_;
  std::atomic<int> call_count_ = 0;
  std::unique_ptr<HttpServer> server_;
  std::string origin_;
  Keep kept_;
};

TEST_F(HttpClientTlsTest, ACertificateOfTheAuthorityGivenIsGoodAndContentsComeWhole) {
  Serve(authority_.Issue("IP:127.0.0.1"));
  const Result<> outcome = Send({.ca_file = authority_.file()}, "/large");
  ASSERT_TRUE(outcome) << outcome.error().detail;
  EXPECT_EQ(kept_.head.status, 200);
  EXPECT_EQ(kept_.head.headers.at("etag"), "\"e\"");
  EXPECT_TRUE(kept_.body.text() == large_);  // not EXPECT_EQ, which would print both
}

TEST_F(HttpClientTlsTest, AProxyTunnelsToTheServerWhoseCertificateCounts) {
  Serve(authority_.Issue("IP:127.0.0.1"));
  const TunnelProxy proxy;
  environment_.Set("https_proxy", proxy.url());
  const auto client = HttpClient::Create({.ca_file = authority_.file()}, clock_).value();
  Keep kept[2];
  Result<> sent[2];
  for (int i = 0; i < 2; ++i)
    sent[i] = client->Send({.origin = origin_, .target = "/large"}, kept[i],
                           Deadline::After(clock_, std::chrono::seconds(20)));
  const Result<> unverified = Send({});
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(sent[i]) << sent[i].error().detail;
    EXPECT_TRUE(kept[i].body.text() == large_);
  }
  EXPECT_EQ(proxy.tunnel_count(), 2) << "one for both, and one in which nothing was sent";
  ASSERT_FALSE(unverified);
  EXPECT_EQ(unverified.error().code, Errc::kUnusable) << unverified.error().detail;
  EXPECT_EQ(call_count_, 2);
}

TEST_F(HttpClientTlsTest, ABodyIsReceivedWhereItsReceiverSays) {
  Serve(authority_.Issue("IP:127.0.0.1"));
  const auto client = HttpClient::Create({.ca_file = authority_.file()}, clock_).value();
  for (const size_t room_bytes : {size_t{1000}, size_t{16 * kMiB}}) {
    OfferingReceiver offering(room_bytes);
    ASSERT_TRUE(client->Send({.origin = origin_, .target = "/large"}, offering,
                             Deadline::After(clock_, std::chrono::seconds(20))));
    EXPECT_TRUE(offering.body() == large_);
    EXPECT_GE(offering.in_place_bytes, large_.size() - 4096);
  }
}

// One record of TLS holds both, and the socket is empty once the answer is whole.
TEST_F(HttpClientTlsTest, WhatFollowsAnAnswerIsNotTheNextOne) {
  namespace asio = boost::asio;
  const auto issued = authority_.Issue("IP:127.0.0.1");
  asio::io_context io;
  asio::ssl::context tls(asio::ssl::context::tls_server);
  tls.use_certificate_chain_file(issued.certificate_file);
  tls.use_private_key_file(issued.key_file, asio::ssl::context::pem);
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  const std::string answer =
      "HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n" + std::string(8000, 'a');
  const std::string evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
  std::thread server([&] {
    for (int i = 0; i < 2; ++i) {
      asio::ssl::stream<asio::ip::tcp::socket> stream(acceptor.accept(), tls);
      stream.handshake(asio::ssl::stream_base::server);
      std::string request;
      asio::read_until(stream, asio::dynamic_buffer(request), "\r\n\r\n");
      asio::write(stream, asio::buffer(answer + evil));
      boost::system::error_code fault;
      asio::read(stream, asio::dynamic_buffer(request), fault);  // until the client ends it
    }
  });
  origin_ = "https://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  auto client = HttpClient::Create({.ca_file = authority_.file()}, clock_).value();
  for (int i = 0; i < 2; ++i) {
    OfferingReceiver offering(kMiB);
    EXPECT_TRUE(client->Send({.origin = origin_, .target = "/"}, offering,
                             Deadline::After(clock_, std::chrono::seconds(20))));
    EXPECT_TRUE(offering.body() == std::string(8000, 'a')) << offering.body().substr(0, 10);
  }
  client.reset();
  server.join();
}

TEST_F(HttpClientTlsTest, RequestsInARowAreAnsweredOnOneConnection) {
  options_.connection_count_max = 1;  // a second one would be answered 503
  Serve(authority_.Issue("IP:127.0.0.1"));
  const auto client = HttpClient::Create({.ca_file = authority_.file()}, clock_).value();
  for (int i = 0; i < 5; ++i) {
    Keep kept;
    ASSERT_TRUE(client->Send({.origin = origin_, .target = "/" + std::to_string(i)}, kept,
                             Deadline::After(clock_, std::chrono::seconds(20))));
    EXPECT_EQ(kept.head.status, 200);
    EXPECT_EQ(kept.body.text(), "/" + std::to_string(i));
  }
}

TEST_F(HttpClientTlsTest, AnAuthorityThatIsNotKnownIsRefused) {
  TestAuthority stranger("a stranger");
  Serve(stranger.Issue("IP:127.0.0.1"));
  ExpectRefused("unable to get local issuer certificate");
}

TEST_F(HttpClientTlsTest, WhoHasTheKeyThatIsPinnedIsTheServerWhateverItsCertificateSays) {
  const auto issued = authority_.Issue("DNS:elsewhere.example", /*expires_in_seconds=*/-60);
  const auto other = authority_.Issue("IP:127.0.0.1");
  Serve(issued);
  const Result<> sent = Send({.public_key_pin = PublicKeyPinOf(issued.certificate_file).value()});
  EXPECT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(call_count_, 1);
  const Result<> refused = Send({.ca_file = authority_.file(),
                                 .public_key_pin = PublicKeyPinOf(other.certificate_file).value()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnusable) << refused.error().detail;
  EXPECT_EQ(call_count_, 1) << "nothing is sent to who does not have it";
}

TEST_F(HttpClientTlsTest, AFileWithoutACertificateHasNoPin) {
  const auto issued = authority_.Issue("IP:127.0.0.1");
  for (const std::string& file : {issued.key_file, std::string("/nonexistent")})
    EXPECT_EQ(PublicKeyPinOf(file).error(), (Error{Errc::kInvalid, file + ": has no certificate"}));
}

// OpenSSL reports the signature that does not fit, and libcurl no certificate's trouble: it is
// not told from a broken connection.
TEST_F(HttpClientTlsTest, AnAuthorityOfTheSameNameAndAnotherKeyIsRefused) {
  TestAuthority impostor;
  Serve(impostor.Issue("IP:127.0.0.1"));
  EXPECT_FALSE(Send({.ca_file = authority_.file()}));
  EXPECT_EQ(call_count_, 0);
}

TEST_F(HttpClientTlsTest, TheSystemsAuthoritiesDoNotKnowOurs) {
  Serve(authority_.Issue("IP:127.0.0.1"));
  const Result<> outcome = Send({});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnusable);
  EXPECT_NE(outcome.error().detail.find("; ca_file names the authorities to trust"),
            std::string::npos)
      << outcome.error().detail;
  EXPECT_EQ(call_count_, 0);
}

// Those of the directory as well, which Debian's libcurl looks into besides the file.
TEST_F(HttpClientTlsTest, TheAuthoritiesGivenTakeThePlaceOfTheSystems) {
  TestAuthority systems("the system's authority");
  Serve(systems.Issue("IP:127.0.0.1"));
  const TemporaryDirectory certificates;
  for (const std::string& name : {std::string("ca-certificates.crt"), HashedName(systems.file())})
    std::filesystem::copy_file(systems.file(), certificates.path() / name);
  bool is_private = false;
  Result<> trusting_the_system, trusting_ours;
  std::thread([&] {
    // This thread alone sees that directory in the system's place.
    is_private =
        unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        mount(certificates.path().c_str(), "/etc/ssl/certs", nullptr, MS_BIND, nullptr) == 0;
    trusting_the_system = Send({});
    trusting_ours = Send({.ca_file = authority_.file()});
  }).join();
  if (!is_private) GTEST_SKIP() << "only root can replace the system's authorities";
  EXPECT_TRUE(trusting_the_system) << trusting_the_system.error().detail;
  ASSERT_FALSE(trusting_ours);
  EXPECT_EQ(trusting_ours.error().code, Errc::kUnusable) << trusting_ours.error().detail;
  EXPECT_EQ(call_count_, 1);
}

TEST_F(HttpClientTlsTest, WhatSpeaksPlainHttpIsSaidSo) {
  auto plain = HttpServer::Start(
      {},
      [](const HttpCall&) {
        return HttpAnswer{200, {}, ""};
      },
      clock_);
  ASSERT_TRUE(plain) << plain.error().detail;
  origin_ = "https://127.0.0.1:" + std::to_string((*plain)->port());
  const Result<> outcome = Send({});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnusable);
  EXPECT_NE(outcome.error().detail.find("write endpoint=http://"), std::string::npos)
      << outcome.error().detail;
}

TEST_F(HttpClientTlsTest, ACertificateThatHasExpiredIsRefused) {
  Serve(authority_.Issue("IP:127.0.0.1", /*expires_in_seconds=*/-60));
  ExpectRefused("certificate has expired");
}

TEST_F(HttpClientTlsTest, ACertificateThatIsNotValidYetIsRefused) {
  Serve(authority_.Issue("IP:127.0.0.1", /*expires_in_seconds=*/7 * 24 * 3600));
  ExpectRefused("certificate is not yet valid");
}

TEST_F(HttpClientTlsTest, ACertificateForAnotherHostIsRefused) {
  Serve(authority_.Issue("DNS:bucket.example.com"));
  ExpectRefused("no alternative certificate subject name matches");
}

TEST_F(HttpClientTlsTest, WithoutVerificationEachOfThemIsTaken) {
  TestAuthority stranger("a stranger");
  for (const auto& issued : {stranger.Issue("IP:127.0.0.1"), authority_.Issue("IP:127.0.0.1", -60),
                             authority_.Issue("DNS:bucket.example.com")}) {
    Serve(issued);
    const Result<> outcome = Send({.ca_file = authority_.file(), .verify_certificate = false});
    ASSERT_TRUE(outcome) << outcome.error().detail;
  }
  EXPECT_EQ(call_count_, 3);
  EXPECT_EQ(kept_.body.text(), "/a/a/a");
}

}  // namespace
}  // namespace shoal
