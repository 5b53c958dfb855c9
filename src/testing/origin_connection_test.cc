// The embedded origin's connections, where the file or the client does not do what it should.
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "origin/signer.h"
#include "testing/fake_clock.h"
#include "testing/origin_server.h"
#include "testing/raw_http_client.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

class OriginConnectionTest : public testing::Test {
 protected:
  OriginConnectionTest() { Start(); }

  void Start() {
    OriginServerOptions options;
    options.root = root_.path();
    options.buckets = {"bucket"};
    server_ = OriginServer::Start(options, clock_).value();
  }
  void Overwrite(std::ios::openmode how, const std::string& text) const {
    std::fstream(root_.path() / "bucket/k", how) << text;
  }
  std::string SignedGet() const {
    SignableRequest request{
        .method = "GET", .bucket = "bucket", .key = "k", .encoded_path = "/bucket/k"};
    const AccessKeys keys{OriginServer::kKeyId, OriginServer::kKeySecret};
    Sign(SignatureScheme::kOssV4, request, keys, "cn-hangzhou", clock_.UnixSeconds());
    std::string text = "GET /bucket/k HTTP/1.1\r\nHost: localhost\r\n";
    for (const auto& [name, value] : request.headers)
      text.append(name).append(": ").append(value).append("\r\n");
    return text + "\r\n";
  }

  TemporaryDirectory root_;
  FakeClock clock_;
  std::unique_ptr<OriginServer> server_;
};

TEST_F(OriginConnectionTest, AnObjectRewrittenInPlaceWhileItIsSentIsCut) {
  // More than the buffers of the sockets hold.
  constexpr size_t kSize = 16 << 20;
  const std::string newer(kSize, 'n');
  for (const auto how : {std::ios::out, std::ios::out | std::ios::in}) {  // emptied first, or not
    Overwrite(std::ios::out, std::string(kSize, 'o'));
    RawHttpClient client(server_->port(), 64 << 10);
    ASSERT_TRUE(client.Send(SignedGet()));
    ASSERT_TRUE(client.HasNews(std::chrono::seconds(30)));
    Overwrite(how, newer);
    const auto cut = client.Receive();
    EXPECT_EQ(cut.status, 200);
    EXPECT_LT(cut.body.size(), kSize);
    RawHttpClient again(server_->port());
    EXPECT_EQ(again.Exchange(SignedGet()).body, newer);
  }
}

TEST_F(OriginConnectionTest, ALargeUploadThatIsRefusedIsTakenUntilItsClientReadsWhy) {
  // More than is drained and the buffers of the sockets hold.
  const std::string body(64 << 20, 'x');
  for (const std::string connection : {"keep-alive", "close"}) {
    RawHttpClient client(server_->port());
    EXPECT_TRUE(
        client.Send("PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nConnection: " + connection +
                    "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body))
        << connection;
    EXPECT_EQ(client.Receive().status, 403) << connection;
    EXPECT_TRUE(client.IsClosed()) << connection;
  }
}

TEST_F(OriginConnectionTest,
       AClientThatSendsForEverAfterARefusalHoldsNeitherItsThreadNorTheServer) {
  for (const bool stops : {false, true}) {
    Start();
    RawHttpClient client(server_->port());
    std::thread sending([&] {
      client.Send(
          "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n\r\n");
      while (client.Send(std::string(1 << 20, 'x'))) {
      }
    });
    EXPECT_EQ(client.Receive().status, 403);
    EXPECT_TRUE(client.IsClosed());  // for what it sends it is open yet
    if (stops)
      server_.reset();
    else
      clock_.Advance(std::chrono::seconds(2));
    sending.join();
  }
}

}  // namespace
}  // namespace shoal
