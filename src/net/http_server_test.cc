#include "net/http_server.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <deque>
#include <future>
#include <stdexcept>
#include <thread>

#include "base/log.h"
#include "testing/adjustable_clock.h"
#include "testing/raw_http_client.h"

namespace shoal {
namespace {

HttpAnswer Echo(const HttpCall& call) {
  return {200, {{"Content-Type", "text/plain"}}, call.method + " " + call.target + " " + call.body};
}

class HttpServerTest : public testing::Test {
 protected:
  void Start(HttpHandler handler = Echo) {
    auto started = HttpServer::Start(options_, std::move(handler), clock_);
    ASSERT_TRUE(started) << started.error().detail;
    server_ = *std::move(started);
  }
  RawHttpClient Connect() { return RawHttpClient(server_->port()); }
  // Lets time pass until the server has noticed. A client has its answer a moment before the
  // server begins to count how long the connection is idle.
  [[nodiscard]] bool IsClosedAfter(RawHttpClient& client, Duration wait) {
    for (int i = 0; i < 100; ++i) {
      clock_.Advance(wait);
      if (client.HasNews(std::chrono::milliseconds(300))) return client.IsClosed();
    }
    return false;
  }

  HttpServerOptions options_;
  AdjustableClock clock_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersCallAfterCallOnOneConnection) {
  Start();
  auto client = Connect();
  const auto answer = client.Get("/a?b=c");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "GET /a?b=c ");
  EXPECT_EQ(answer.head.substr(0, answer.head.find("Date: ")), "HTTP/1.1 200 OK\r\n");
  EXPECT_NE(answer.head.find(" GMT\r\nContent-Length: 11\r\nConnection: keep-alive\r\n"
                             "Content-Type: text/plain\r\n"),
            std::string::npos);
  EXPECT_EQ(client.Get("/second").body, "GET /second ");
}

TEST_F(HttpServerTest, AnswersPipelinedCallsInTheirOrderAndRefusesTheGarbageBehind) {
  Start();
  auto client = Connect();
  client.Send(
      "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n\x01\x02 what?\r\n\r\n");
  EXPECT_EQ(client.Receive().body, "GET /1 ");
  EXPECT_EQ(client.Receive().body, "GET /2 ");
  const auto refused = client.Receive();
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpServerTest, TakesBodiesOfEitherFraming) {
  Start();
  auto client = Connect();
  EXPECT_EQ(client.Exchange("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody").body,
            "POST /p body");
  EXPECT_EQ(client
                .Exchange("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "4\r\nbody\r\n2\r\n21\r\n0\r\n\r\n")
                .body,
            "POST /p body21");
}

TEST_F(HttpServerTest, AsksForABodyThatWaitsToBeAskedFor) {
  Start();
  auto client = Connect();
  client.Send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_EQ(client.ReceiveHead(), "HTTP/1.1 100 Continue\r\n");
  client.Send("body");
  EXPECT_EQ(client.Receive().body, "POST /p body");
}

TEST_F(HttpServerTest, KeepsAConnectionOfHttp10OnlyWhenAsked) {
  Start();
  auto client = Connect();
  const auto kept = client.Exchange("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(kept.head.find("Connection: keep-alive"), std::string::npos);
  EXPECT_NE(client.Exchange("GET /2 HTTP/1.0\r\n\r\n").head.find("Connection: close"),
            std::string::npos);
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpServerTest, SendsNoBodyInAnswerToHead) {
  Start();
  auto client = Connect();
  client.Send("HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto answer = client.Receive();
  EXPECT_NE(answer.head.find("Content-Length: 8\r\n"), std::string::npos);
  EXPECT_EQ(answer.body, "");
}

TEST_F(HttpServerTest, TellsTheHandlerHeadersAndAddress) {
  HttpCall seen;
  Start([&](const HttpCall& call) {
    seen = call;
    return HttpAnswer{204, {}, ""};
  });
  auto client = Connect();
  EXPECT_EQ(client.Exchange("GET / HTTP/1.1\r\nHOST: h:1\r\nX-Two: a\r\nx-two: b\r\n\r\n").status,
            204);
  EXPECT_EQ(seen.headers,
            (std::map<std::string, std::string, std::less<>>{{"host", "h:1"}, {"x-two", "a, b"}}));
  EXPECT_EQ(seen.local_address, "127.0.0.1:" + std::to_string(server_->port()));
  EXPECT_FALSE(seen.secure);
}

TEST_F(HttpServerTest, TakesATargetThatNearlyFillsTheHead) {
  Start();
  auto client = Connect();
  const std::string target = "/" + std::string((512 << 10) - 100, 'a');
  EXPECT_EQ(client.Get(target).body, "GET " + target + " ");
  EXPECT_EQ(client.Get("/next").body, "GET /next ");
}

TEST_F(HttpServerTest, RefusesWhatIsBeyondABoundAndCloses) {
  options_.call.body_bytes_max = 1000;
  Start();
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
  std::string many_fields = start;
  for (int i = 0; i < 200; ++i) many_fields += "a:\r\n";
  const std::vector<std::pair<std::string, int>> cases = {
      {"GET /" + std::string(600 << 10, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", 431},
      {start + "X: " + std::string(600 << 10, 'a') + "\r\n\r\n", 431},
      {many_fields + "\r\n", 431},
      {start + "Content-Length: 1001\r\n\r\n", 413},
      {start + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'b') +
           "\r\n0\r\n\r\n",
       413},
      // Never the end of the chunk's head.
      {start + "Transfer-Encoding: chunked\r\n\r\n5;" + std::string(800 << 10, 'a'), 400},
      {start + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
      {start + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
      {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {std::string("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28), 400},
      {"\r\n\r\n\r\n\r\n", 400},
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\r\n\r\n", 400},
  };
  for (const auto& [bytes, status] : cases) {
    auto client = Connect();
    client.Send(bytes);
    EXPECT_EQ(client.Receive().status, status) << bytes.substr(0, 80);
    EXPECT_TRUE(client.IsClosed()) << bytes.substr(0, 80);
  }
  EXPECT_EQ(Connect().Get("/still").status, 200);
}

TEST_F(HttpServerTest, AHandlerThatThrowsCostsItsAnswerAlone) {
  Start([](const HttpCall& call) -> HttpAnswer {
    if (call.target == "/bad") throw std::runtime_error("no answer today");
    return Echo(call);
  });
  auto client = Connect();
  EXPECT_EQ(client.Get("/bad").status, 500);
  EXPECT_EQ(log::RecentTrouble().back().text, "answering GET /bad failed: no answer today");
  auto another = Connect();
  EXPECT_EQ(another.Get("/good").status, 200);
}

TEST_F(HttpServerTest, TellsAClientThatGoesOnSendingWhyItWasRefused) {
  Start();
  auto client = Connect();
  // More than the sockets' buffers hold: a close with bytes unread would take the answer away.
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n");
  client.Send(std::string(8 << 20, 'b'));
  EXPECT_EQ(client.Receive().status, 413);
}

TEST_F(HttpServerTest, EndsHalfARequestThatIsTooSlowWith408) {
  options_.head_timeout = options_.body_timeout = std::chrono::milliseconds(1);
  Start();
  for (const std::string half :
       {"GET / HT", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"}) {
    auto client = Connect();
    client.Send(half);
    EXPECT_EQ(client.Receive().status, 408) << half;
    EXPECT_TRUE(client.IsClosed());
  }
}

TEST_F(HttpServerTest, AnswersHalfARequestThatEndsThereWith400) {
  Start();
  const std::string whole = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n";
  for (const std::string half :
       {"GET / HT", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"}) {
    auto client = Connect();
    client.Send(whole + half);
    client.HangUp();
    EXPECT_EQ(client.Receive().body, "GET /1 ");
    EXPECT_EQ(client.Receive().status, 400) << half;
    EXPECT_TRUE(client.IsClosed());
  }
  auto client = Connect();
  client.Send(whole);
  client.HangUp();
  EXPECT_EQ(client.Receive().body, "GET /1 ");
  EXPECT_TRUE(client.IsClosed()) << "there is no other request to answer";
}

TEST_F(HttpServerTest, ASlowClientHasNoLongerThanOneThatIsSilent) {
  options_.idle_timeout = std::chrono::hours(1);
  Start();
  auto client = Connect();
  client.Send("GET /");
  // A byte each second: never silent, and it never ends.
  do {
    client.Send("a");
    clock_.Advance(std::chrono::seconds(1));
  } while (!client.HasNews(std::chrono::milliseconds(20)));
  EXPECT_EQ(client.Receive().status, 408);
}

TEST_F(HttpServerTest, ClosesAConnectionThatIsIdleTooLong) {
  Start();
  auto client = Connect();
  ASSERT_EQ(client.Get("/").status, 200);
  EXPECT_TRUE(IsClosedAfter(client, std::chrono::seconds(61)));
}

TEST_F(HttpServerTest, ClosesAConnectionWhoseClientDoesNotReadItsAnswer) {
  constexpr size_t kBodyBytes = 64 << 20;
  Start([](const HttpCall& call) {
    return HttpAnswer{200, {}, std::string(call.target == "/large" ? kBodyBytes : 0, 'x')};
  });
  RawHttpClient slow(server_->port(), 4096);
  slow.Send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_EQ(slow.ReceiveHead().substr(0, 12), "HTTP/1.1 200");
  // Its time is over when that of this one is.
  auto idle = Connect();
  ASSERT_EQ(idle.Get("/").status, 200);
  EXPECT_TRUE(IsClosedAfter(idle, std::chrono::seconds(61)));
  EXPECT_LT(slow.ReceiveToTheEnd().size(), kBodyBytes);
}

TEST_F(HttpServerTest, RefusesConnectionsBeyondTheBoundWithAnAnswer) {
  options_.connection_count_max = 3;
  options_.refusal = [](int status, std::string_view reason) {
    return HttpAnswer{status, {}, "refused: " + std::string(reason)};
  };
  Start();
  std::deque<RawHttpClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(server_->port());
    ASSERT_EQ(clients.back().Get("/").status, 200);
  }
  auto surplus = Connect();
  const auto refused = surplus.Get("/");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.body, "refused: too many connections; try again in a moment");
  EXPECT_TRUE(surplus.IsClosed());
  for (auto& client : clients) EXPECT_EQ(client.Get("/").status, 200);
}

TEST_F(HttpServerTest, AConnectionIdleLongestMakesRoomForANewOne) {
  options_.connection_count_max = 2;
  Start();
  auto oldest = Connect();
  ASSERT_EQ(oldest.Get("/").status, 200);
  auto newer = Connect();
  ASSERT_EQ(newer.Get("/").status, 200);
  int status = 0;
  while (status != 200) {
    clock_.Advance(std::chrono::seconds(2));
    status = Connect().Get("/").status;
    ASSERT_TRUE(status == 200 || status == 503);
  }
  EXPECT_TRUE(oldest.IsClosed());
  EXPECT_EQ(newer.Get("/").status, 200);
}

// Each holds its place in another way: a head, a body, and an answer that it does not read.
TEST_F(HttpServerTest, ClientsThatAreSlowForTenSecondsMakeRoomForANewOne) {
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
  for (const std::string& sent : {start, start + "Content-Length: 9\r\n\r\nhalf",
                                  start + "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
                                  start + "Transfer-Encoding: chunked\r\n\r\n5;",
                                  "GET /large HTTP/1.1\r\nHost: h\r\n\r\n" + start}) {
    SCOPED_TRACE(sent);
    options_.connection_count_max = 3;
    Start([](const HttpCall& call) {
      return HttpAnswer{200, {}, std::string(call.target == "/large" ? 16 << 20 : 0, 'x')};
    });
    std::deque<RawHttpClient> slow;
    for (int i = 0; i < 3; ++i) {
      slow.emplace_back(server_->port(), 4096);
      slow.back().Send(sent);
      if (sent.starts_with("GET")) slow.back().ReceiveHead();
    }
    // Not before the server has seen what all three of them sent.
    for (int i = 0; i < 2; i += Connect().Get("/").status == 503 ? 1 : 0) {
    }
    clock_.Advance(std::chrono::seconds(9));
    EXPECT_EQ(Connect().Get("/").status, 503);
    clock_.Advance(std::chrono::seconds(2));
    int status = 0;
    for (int i = 0; i < 20 && status != 200; ++i) status = Connect().Get("/").status;
    EXPECT_EQ(status, 200);
  }
}

TEST_F(HttpServerTest, ASlowClientHasMoreTimeWhileThereIsRoom) {
  Start();
  auto slow = Connect();
  slow.Send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nha");
  ASSERT_EQ(Connect().Get("/").status, 200);
  clock_.Advance(std::chrono::seconds(20));
  ASSERT_EQ(Connect().Get("/").status, 200);
  EXPECT_FALSE(slow.HasNews(std::chrono::milliseconds(500)));
  slow.Send("lf");
  EXPECT_EQ(slow.Receive().body, "POST /slow half");
}

TEST_F(HttpServerTest, ThoseThatWereRefusedAndStayTakeNobodysPlace) {
  options_.connection_count_max = 2;
  Start();
  std::deque<RawHttpClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(server_->port());
    EXPECT_EQ(clients.back().Exchange("nonsense\r\n\r\n").status, 400) << i;
  }
  EXPECT_EQ(Connect().Get("/").status, 200);
}

TEST_F(HttpServerTest, AThousandConnectionsLeaveItAnswering) {
  Start();
  std::deque<RawHttpClient> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.emplace_back(server_->port());
    ASSERT_TRUE(clients.back().connected());
    clients.back().Send("GET / HTTP/1.1\r\n");
  }
  clients.clear();
  // Those in the way go as their ends are noticed.
  RawHttpClient::Answer answer;
  for (int i = 0; i < 1000 && answer.status != 200; ++i) answer = Connect().Get("/");
  EXPECT_EQ(answer.status, 200);
}

TEST_F(HttpServerTest, HoldsNoMoreInSumThanItsBound) {
  options_.held_bytes_max = 1 << 20;
  Start();
  std::deque<RawHttpClient> clients;
  int refused_count = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back(server_->port());
    clients.back().Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n" +
                        std::string(299'999, 'b'));
  }
  // The last byte makes each one whole, if it is still there.
  for (auto& client : clients) {
    client.Send("b");
    const int status = client.Receive().status;
    EXPECT_TRUE(status == 200 || status == 503) << status;
    refused_count += status == 503;
  }
  EXPECT_GT(refused_count, 0);
  EXPECT_EQ(Connect().Get("/").status, 200);
}

TEST_F(HttpServerTest, AnswersThatNobodyReadsCountAsHeldUntilTheyAreRead) {
  options_.held_bytes_max = 16 << 20;
  Start([](const HttpCall&) { return HttpAnswer{200, {}, std::string(3 << 20, 'x')}; });
  std::deque<RawHttpClient> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back(server_->port(), 64 << 10);
    // Whether they mean to stay or not.
    clients.back().Send(i % 2 == 0 ? "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                                   : "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  }
  size_t answered_count = 0;
  for (auto& client : clients) answered_count += client.ReceiveHead().starts_with("HTTP/1.1 200");
  EXPECT_GE(answered_count, 1);
  EXPECT_LE(answered_count, 6);
}

TEST_F(HttpServerTest, AnAnswerThatWasReadIsHeldNoLonger) {
  Start([](const HttpCall&) { return HttpAnswer{200, {}, std::string(3 << 20, 'x')}; });
  std::deque<RawHttpClient> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back(server_->port());
    EXPECT_EQ(clients.back().Get("/").body.size(), 3 << 20);
  }
  // All of them stay, and none with its three MiB. The last one's may be on its way out.
  const auto used = mallinfo2();
  EXPECT_LT(used.uordblks + used.hblkhd, size_t{16} << 20);
}

TEST_F(HttpServerTest, RefusesWithAnAnswerHoweverManyThereAre) {
  options_.connection_count_max = 2;
  Start();
  std::deque<RawHttpClient> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back(server_->port());
    ASSERT_EQ(clients.back().Get("/").status, 200);
  }
  for (int i = 0; i < 20; ++i) clients.emplace_back(server_->port());
  for (int i = 2; i < 22; ++i)
    EXPECT_EQ(clients[static_cast<size_t>(i)].Receive().status, 503) << i;
}

TEST_F(HttpServerTest, ClosesAndWaitsForHandlersWhenItEnds) {
  std::promise<void> begun, go_on;
  std::atomic<bool> ended = false;
  Start([&](const HttpCall& call) {
    if (call.target == "/wait") {
      begun.set_value();
      go_on.get_future().wait();
      ended = true;
    }
    return Echo(call);
  });
  auto idle = Connect();
  ASSERT_EQ(idle.Get("/").status, 200);
  auto waiting = Connect();
  waiting.Send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  begun.get_future().wait();
  std::thread closing([&] { server_.reset(); });
  EXPECT_TRUE(idle.IsClosed());
  EXPECT_TRUE(waiting.IsClosed());
  EXPECT_FALSE(ended);
  go_on.set_value();
  closing.join();
  EXPECT_TRUE(ended);
}

TEST_F(HttpServerTest, SaysThatTheAddressIsInUse) {
  Start();
  options_.port = server_->port();
  const auto second = HttpServer::Start(options_, Echo, clock_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kBusy);
  EXPECT_EQ(second.error().detail,
            "127.0.0.1:" + std::to_string(server_->port()) + ": Address already in use");
  // The port is free again at once, though connections of the one before may linger.
  ASSERT_EQ(Connect().Get("/").status, 200);
  server_.reset();
  Start();
  EXPECT_EQ(Connect().Get("/").status, 200);
}

TEST_F(HttpServerTest, RefusesAddressesAndFilesOfNoUse) {
  options_.address = "localhost";
  EXPECT_EQ(HttpServer::Start(options_, Echo, clock_).error(),
            (Error{Errc::kInvalid, "localhost: not an IPv4 or IPv6 address"}));
  options_.address = "127.0.0.1";
  options_.certificate_file = "/no/cert.pem";
  EXPECT_EQ(HttpServer::Start(options_, Echo, clock_).error(),
            (Error{Errc::kInvalid, "/no/cert.pem: a certificate and its key go together"}));
  options_.key_file = "/no/key.pem";
  EXPECT_EQ(HttpServer::Start(options_, Echo, clock_).error().detail.substr(0, 14),
            "/no/cert.pem: ");
}

}  // namespace
}  // namespace shoal
