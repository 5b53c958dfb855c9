#include "net/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <functional>
#include <latch>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "testing/fake_clock.h"
#include "testing/offering_receiver.h"
#include "testing/proxy_environment.h"
#include "testing/scripted_http_server.h"

namespace shoal {
namespace {

using Then = ScriptedReply::Then;

class Keep final : public HttpReceiver {
 public:
  ByteSink* Begin(HttpHead answer) override {
    head = std::move(answer);
    return wants_body ? &body : nullptr;
  }
  bool wants_body = true;
  HttpHead head;
  DocumentSink body{kMiB};
};

class HttpClientTest : public testing::Test {
 protected:
  std::unique_ptr<HttpClient> Client(const HttpClientOptions& options = {}) {
    return HttpClient::Create(options, clock_).value();
  }
  [[nodiscard]] Deadline Soon() const { return Deadline::After(clock_, std::chrono::seconds(20)); }

  ProxyEnvironment environment_;
  SystemClock clock_;
  Keep kept_;
};

TEST_F(HttpClientTest, GivesStatusHeadersAndBody) {
  ScriptedHttpServer server(
      [](const auto&) { return Answer("404 Not Found", "ETag: \"a\"\r\nX-Odd:  b \r\n", "body"); });
  const auto outcome = Client()->Send(
      {.origin = server.origin(), .target = "/a?b=c", .headers = {{"range", "x"}}}, kept_, Soon());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().detail;
  EXPECT_EQ(kept_.head.status, 404);
  EXPECT_EQ(kept_.head.headers,
            (HttpHeaders{{"content-length", "4"}, {"etag", "\"a\""}, {"x-odd", "b"}}));
  EXPECT_EQ(kept_.body.text(), "body");
  EXPECT_EQ(server.requests()[0].target, "/a?b=c");
  EXPECT_EQ(server.requests()[0].headers.at("range"), "x");
  EXPECT_EQ(server.requests()[0].headers.count("accept-encoding"), 0u);
}

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
  Keep direct;
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

TEST_F(HttpClientTest, SendsThePathAsItIs) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", ""); });
  ASSERT_TRUE(Client()->Send({.origin = server.origin(), .target = "/a/../b//./%2e%00?x=%2F"},
                             kept_, Soon()));
  EXPECT_EQ(server.requests()[0].target, "/a/../b//./%2e%00?x=%2F");
}

TEST_F(HttpClientTest, UsesOneConnectionForRequestsInARow) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", "x"); });
  const auto client = Client();
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, kept_, Soon()));
  for (const auto& request : server.requests()) EXPECT_EQ(request.connection, 0);
}

TEST_F(HttpClientTest, SendsAgainOnANewConnectionWhenTheOldOneWasClosed) {
  ScriptedHttpServer server([](const auto&) {
    auto reply = Answer("200 OK", "", "x");
    reply.then = Then::kClose;
    return reply;
  });
  const auto client = Client();
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, kept_, Soon()));
  EXPECT_EQ(server.requests().size(), 3u);
}

// Its end and the next request pass each other on the way.
TEST_F(HttpClientTest, SendsAgainWhatAnOldConnectionEndsUnanswered) {
  ScriptedHttpServer server([first = true](const ScriptedRequest& request) mutable {
    if (request.connection == 0 && !std::exchange(first, false))
      return ScriptedReply{.then = Then::kClose};
    return Answer("200 OK", "", "x");
  });
  const auto client = Client();
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, kept_, Soon()));
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[1].connection, 0);
  EXPECT_EQ(requests[2].connection, 1);
}

TEST_F(HttpClientTest, ButNotWhatANewConnectionEndsUnanswered) {
  ScriptedHttpServer server([](const auto&) { return ScriptedReply{.then = Then::kClose}; });
  const auto outcome = Client()->Send({.origin = server.origin(), .target = "/"}, kept_, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(),
            (Error{Errc::kUnreachable,
                   server.origin() + ": the connection ended before the answer did"}));
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(HttpClientTest, AConnectionToAnotherServerIsNotUsed) {
  ScriptedHttpServer one([](const auto&) { return Answer("200 OK", "", "one"); });
  ScriptedHttpServer two([](const auto&) { return Answer("200 OK", "", "two"); });
  const auto client = Client({.connection_count_max = 1});
  for (int i = 0; i < 2; ++i) {
    Keep from_one;
    Keep from_two;
    ASSERT_TRUE(client->Send({.origin = one.origin(), .target = "/"}, from_one, Soon()));
    ASSERT_TRUE(client->Send({.origin = two.origin(), .target = "/"}, from_two, Soon()));
    EXPECT_EQ(from_one.body.text(), "one");
    EXPECT_EQ(from_two.body.text(), "two");
  }
}

TEST_F(HttpClientTest, ABodyIsReceivedWhereItsReceiverSays) {
  std::string body(3 * kMiB + 1, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 7 + i / 256);
  ScriptedHttpServer server([&](const auto&) { return Answer("200 OK", "", body); });
  const auto client = Client();
  for (const size_t room_bytes : {size_t{1000}, size_t{kMiB}, size_t{16 * kMiB}}) {
    OfferingReceiver offering(room_bytes);
    ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, offering, Soon()));
    EXPECT_TRUE(offering.body() == body);
    EXPECT_GE(offering.in_place_bytes, body.size() - 4096);
  }
  EXPECT_EQ(server.requests().back().connection, 0);
}

TEST_F(HttpClientTest, TheDeadlineAndAStopEndAnAnswerThatComesWithoutAPause) {
  ScriptedHttpServer server(
      [](const auto&) { return Answer("200 OK", "", std::string(8 * kMiB, 'x')); });
  FakeClock clock;
  OfferingReceiver slow(1000);
  slow.on_append = [&] { clock.Advance(std::chrono::milliseconds(10)); };
  const auto timed_out =
      HttpClient::Create({}, clock).value()->Send({.origin = server.origin(), .target = "/"}, slow,
                                                  Deadline::After(clock, std::chrono::seconds(1)));
  ASSERT_FALSE(timed_out);
  EXPECT_EQ(timed_out.error(), (Error{Errc::kTimedOut, server.origin() + ": the deadline passed"}));

  std::stop_source stop;
  OfferingReceiver stopping(1000);
  stopping.on_append = [&] { stop.request_stop(); };
  const auto stopped = Client({.stop = stop.get_token()})
                           ->Send({.origin = server.origin(), .target = "/"}, stopping, Deadline{});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error(), (Error{Errc::kInterrupted, "stopping"}));
  EXPECT_LE(stopping.body().size(), 4096u) << "what came with the head";
}

TEST_F(HttpClientTest, AConnectionThatWasIdleForLongIsNotUsed) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", "x"); });
  FakeClock clock;
  const auto client = HttpClient::Create({}, clock).value();
  for (const int idle_seconds : {0, 99, 101}) {
    clock.Advance(std::chrono::seconds(idle_seconds));
    ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, kept_, Deadline{}));
  }
  const auto requests = server.requests();
  EXPECT_EQ(requests.at(1).connection, 0);
  EXPECT_EQ(requests.at(2).connection, 1);
}

// Says each of its answers to one who connects, and reads nothing.
class DeafServer {
 public:
  explicit DeafServer(std::vector<std::string> answers)
      : acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
    thread_ = std::thread([this, answers = std::move(answers)] {
      for (const std::string& answer : answers) {
        sockets_.push_back(acceptor_.accept());
        boost::asio::write(sockets_.back(), boost::asio::buffer(answer));
      }
    });
  }
  ~DeafServer() { thread_.join(); }
  [[nodiscard]] std::string origin() const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }

 private:
  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::vector<boost::asio::ip::tcp::socket> sockets_;
  std::thread thread_;
};

TEST_F(HttpClientTest, ARequestThatNobodyTakesTimesOut) {
  DeafServer server({""});
  const auto outcome = Client({.stall_timeout = std::chrono::milliseconds(50)})
                           ->Send({.method = "POST",
                                   .origin = server.origin(),
                                   .target = "/",
                                   .body = std::string(32 * kMiB, 'x')},
                                  kept_, Deadline{});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(), (Error{Errc::kTimedOut, server.origin() + ": not a byte in 0.05 s"}));
}

TEST_F(HttpClientTest, AnAnswerCountsThoughTheRequestWasNotTakenWhole) {
  DeafServer server(
      {Answer("413 Payload Too Large", "", "no").bytes, Answer("200 OK", "", "x").bytes});
  const auto client = Client();
  const auto outcome = client->Send({.method = "POST",
                                     .origin = server.origin(),
                                     .target = "/",
                                     .body = std::string(32 * kMiB, 'x')},
                                    kept_, Soon());
  ASSERT_TRUE(outcome) << outcome.error().detail;
  EXPECT_EQ(kept_.head.status, 413);
  EXPECT_EQ(kept_.body.text(), "no");

  Keep next;  // which is not taken for the rest of the other
  ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, next, Soon()));
  EXPECT_EQ(next.head.status, 200);
}

TEST_F(HttpClientTest, AConnectionThatItsServerWillNotKeepIsNotUsed) {
  ScriptedHttpServer server(
      [](const auto&) { return Answer("200 OK", "Connection: close\r\n", "x"); });
  const auto client = Client();
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, kept_, Soon()));
  EXPECT_EQ(server.requests().at(1).connection, 1);
}

TEST_F(HttpClientTest, APostThatAnOldConnectionLeavesUnansweredIsNotRepeated) {
  ScriptedHttpServer server([](const ScriptedRequest& request) {
    if (request.method == "POST") return ScriptedReply{.then = Then::kClose};
    return Answer("200 OK", "", "x");
  });
  const auto client = Client();
  ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, kept_, Soon()));
  Keep kept;
  const auto outcome =
      client->Send({.method = "POST", .origin = server.origin(), .target = "/"}, kept, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnreachable);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(HttpClientTest, AStopEndsAnAnswerThatDoesNot) {
  std::stop_source stop;
  ScriptedHttpServer server([&](const auto&) {
    stop.request_stop();
    return ScriptedReply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                         .then = Then::kHang};
  });
  const auto outcome = Client({.stall_timeout = std::chrono::hours(1), .stop = stop.get_token()})
                           ->Send({.origin = server.origin(), .target = "/"}, kept_, Deadline{});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(), (Error{Errc::kInterrupted, "stopping"}));
}

TEST_F(HttpClientTest, AnswersAHeadRequestWithoutABody) {
  ScriptedHttpServer server([](const auto&) {
    return ScriptedReply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"};
  });
  ASSERT_TRUE(
      Client()->Send({.method = "HEAD", .origin = server.origin(), .target = "/"}, kept_, Soon()));
  EXPECT_EQ(kept_.head.headers.at("content-length"), "1000");
  EXPECT_EQ(server.requests()[0].method, "HEAD");
}

TEST_F(HttpClientTest, SendsTheBodyOfAPost) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", "done"); });
  const std::string body = std::string("a=b&c=") + '\0' + "%00" + std::string(300'000, 'x');
  ASSERT_TRUE(Client()->Send(
      {.method = "POST", .origin = server.origin(), .target = "/a", .body = body}, kept_, Soon()));
  EXPECT_EQ(kept_.body.text(), "done");
  const ScriptedRequest request = server.requests().at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.headers.at("content-type"), "application/x-www-form-urlencoded");
  EXPECT_TRUE(request.body == body);
}

// A handle that is used again knows nothing of the request before.
TEST_F(HttpClientTest, ARequestAfterAnotherHasItsOwnMethodHeadersAndDeadline) {
  ScriptedHttpServer server([](const auto& request) {
    if (request.method == "HEAD")
      return ScriptedReply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"};
    return Answer("200 OK", "", "body");
  });
  const auto client = Client();
  ASSERT_TRUE(client->Send(
      {.method = "HEAD", .origin = server.origin(), .target = "/a", .headers = {{"x-one", "1"}}},
      kept_, Soon()));
  ASSERT_TRUE(client->Send({.origin = server.origin(), .target = "/b"}, kept_, Deadline{}));
  EXPECT_EQ(kept_.body.text(), "body");
  for (const char* method : {"POST", "GET", "POST", "HEAD"}) {
    Keep kept;
    ASSERT_TRUE(
        client->Send({.method = method, .origin = server.origin(), .target = "/c"}, kept, Soon()));
  }
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 6u);
  EXPECT_EQ(requests[1].method, "GET");
  EXPECT_EQ(requests[0].headers.count("x-one"), 1u);
  EXPECT_EQ(requests[1].headers.count("x-one"), 0u);
  for (size_t i = 0; const char* method : {"HEAD", "GET", "POST", "GET", "POST", "HEAD"}) {
    EXPECT_EQ(requests[i].connection, 0);
    EXPECT_EQ(requests[i++].method, method);
  }
}

TEST_F(HttpClientTest, ReadsAChunkedBody) {
  ScriptedHttpServer server([](const auto&) {
    return ScriptedReply{.bytes =
                             "HTTP/1.1 100 Continue\r\n\r\n"
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n"};
  });
  ASSERT_TRUE(Client()->Send({.origin = server.origin(), .target = "/"}, kept_, Soon()));
  EXPECT_EQ(kept_.head.status, 200);
  EXPECT_EQ(kept_.body.text(), "abcde");
}

TEST_F(HttpClientTest, ABodyCutShortIsUnreachable) {
  ScriptedHttpServer server([](const auto&) {
    return ScriptedReply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                         .then = Then::kClose};
  });
  const auto outcome = Client()->Send({.origin = server.origin(), .target = "/"}, kept_, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnreachable);
  EXPECT_EQ(kept_.body.text(), "abc");
}

TEST_F(HttpClientTest, AnAnswerThatIsNotHttpIsUnreachable) {
  ScriptedHttpServer server(
      [](const auto&) { return ScriptedReply{.bytes = "hello\r\n\r\n", .then = Then::kClose}; });
  const auto outcome = Client()->Send({.origin = server.origin(), .target = "/"}, kept_, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnreachable);
}

TEST_F(HttpClientTest, AnEndlessHeadIsUnreachable) {
  ScriptedHttpServer server([](const auto&) {
    std::string bytes = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 100; ++i)
      bytes += "X-" + std::to_string(i) + ": " + std::string(1000, 'x') + "\r\n";
    return ScriptedReply{.bytes = bytes + "\r\n"};
  });
  const auto outcome = Client()->Send({.origin = server.origin(), .target = "/"}, kept_, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(),
            (Error{Errc::kUnreachable, server.origin() + ": the answer's head is too long"}));
}

TEST_F(HttpClientTest, NobodyListeningIsUnreachable) {
  std::string origin;
  {
    ScriptedHttpServer server([](const auto&) { return ScriptedReply{}; });
    origin = server.origin();
  }
  const auto outcome = Client()->Send({.origin = origin, .target = "/"}, kept_, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnreachable);
  EXPECT_TRUE(outcome.error().detail.starts_with(origin + ": ")) << outcome.error().detail;
}

TEST_F(HttpClientTest, AServerThatStallsTimesOut) {
  ScriptedHttpServer server([](const auto&) {
    return ScriptedReply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                         .then = Then::kHang};
  });
  const auto outcome = Client({.stall_timeout = std::chrono::milliseconds(50)})
                           ->Send({.origin = server.origin(), .target = "/"}, kept_, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(), (Error{Errc::kTimedOut, server.origin() + ": not a byte in 0.05 s"}));
}

TEST_F(HttpClientTest, TheDeadlineEndsAnExchange) {
  ScriptedHttpServer server([](const auto&) { return ScriptedReply{.then = Then::kHang}; });
  const auto outcome = Client()->Send({.origin = server.origin(), .target = "/"}, kept_,
                                      Deadline::After(clock_, std::chrono::milliseconds(50)));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kTimedOut);
}

TEST_F(HttpClientTest, AReceiverThatWantsNoMoreInterrupts) {
  ScriptedHttpServer server(
      [](const auto&) { return Answer("200 OK", "", std::string(2 * kMiB, 'x')); });
  const auto client = Client();
  const auto too_long = client->Send({.origin = server.origin(), .target = "/"}, kept_, Soon());
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, Errc::kInterrupted);

  Keep unwilling;
  unwilling.wants_body = false;
  const auto refused = client->Send({.origin = server.origin(), .target = "/"}, unwilling, Soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInterrupted);
  EXPECT_EQ(unwilling.body.text(), "");
}

TEST_F(HttpClientTest, FollowsNoRedirect) {
  ScriptedHttpServer other([](const auto&) { return Answer("200 OK", "", "stolen"); });
  ScriptedHttpServer server([&](const auto&) {
    return Answer("307 Temporary Redirect", "Location: " + other.origin() + "/\r\n", "");
  });
  ASSERT_TRUE(Client()->Send(
      {.origin = server.origin(), .target = "/", .headers = {{"authorization", "secret"}}}, kept_,
      Soon()));
  EXPECT_EQ(kept_.head.status, 307);
  EXPECT_TRUE(other.requests().empty());
}

TEST_F(HttpClientTest, RefusesAHeaderWithAControlByteAndDoesNotRepeatItsValue) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", ""); });
  const auto outcome = Client()->Send({.origin = server.origin(),
                                       .target = "/",
                                       .headers = {{"if-match", "secret\r\nX-Injected: 1"}}},
                                      kept_, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(), (Error{Errc::kUnusable, "a control byte in header 'if-match'"}));
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpClientTest, RefusesATargetThatIsNone) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", ""); });
  for (const char* target : {"/a b", "/a\r\nX-Injected: 1"}) {
    const auto outcome =
        Client()->Send({.origin = server.origin(), .target = target}, kept_, Soon());
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error(), (Error{Errc::kUnusable, "a blank or a control byte in the target"}));
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpClientTest, MakesNoMoreConnectionsThanItsBound) {
  std::latch both_sent(2);
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", "x"); });
  const auto client = Client({.connection_count_max = 1});
  const auto send_many = [&] {
    both_sent.arrive_and_wait();
    for (int i = 0; i < 50; ++i) {
      Keep kept;
      EXPECT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, kept, Soon()));
    }
  };
  std::thread one(send_many);
  std::thread two(send_many);
  one.join();
  two.join();
  EXPECT_EQ(server.requests().size(), 100u);
  for (const auto& request : server.requests()) EXPECT_EQ(request.connection, 0);
}

TEST_F(HttpClientTest, ACallerThatWaitsForAConnectionHasOneWhenTheBoundRises) {
  std::latch asked(1);
  ScriptedHttpServer server([&](const ScriptedRequest& request) {
    if (request.target != "/hangs") return Answer("200 OK", "", "x");
    asked.count_down();
    return ScriptedReply{.then = Then::kHang};
  });
  const auto client = Client({.connection_count_max = 1});
  std::thread first([&] {
    Keep kept;
    EXPECT_FALSE(client->Send({.origin = server.origin(), .target = "/hangs"}, kept,
                              Deadline::After(clock_, std::chrono::seconds(2))));
  });
  asked.wait();
  std::thread second([&] {
    Keep kept;
    EXPECT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, kept,
                             Deadline::After(clock_, std::chrono::seconds(1))));
  });
  client->SetConnectionCountMax(2);
  second.join();
  first.join();
}

// Its answer is not taken before all of them have begun.
class HeldReceiver final : public HttpReceiver {
 public:
  explicit HeldReceiver(std::latch& all_begun) : all_begun_(all_begun) {}
  ByteSink* Begin(HttpHead head) override {
    all_begun_.arrive_and_wait();
    return kept_.Begin(std::move(head));
  }

 private:
  std::latch& all_begun_;
  Keep kept_;
};

TEST_F(HttpClientTest, AConnectionThatIsOneTooManyEndsWithItsCall) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", "x"); });
  const auto client = Client({.connection_count_max = 2});
  const auto send_two_at_once = [&](const std::function<void()>& meanwhile) {
    std::latch all_begun(3);
    const auto send = [&] {
      HeldReceiver held(all_begun);
      EXPECT_TRUE(client->Send({.origin = server.origin(), .target = "/"}, held, Soon()));
    };
    std::thread one(send);
    std::thread two(send);
    while (server.requests().size() % 2 != 0 || server.requests().empty())
      std::this_thread::yield();
    meanwhile();
    all_begun.arrive_and_wait();
    one.join();
    two.join();
  };
  send_two_at_once([&] { client->SetConnectionCountMax(1); });
  client->SetConnectionCountMax(2);
  send_two_at_once([] {});
  std::set<int> connections;
  for (const ScriptedRequest& request : server.requests()) connections.insert(request.connection);
  EXPECT_EQ(connections.size(), 3) << "one of the first two ended";
}

TEST_F(HttpClientTest, ACallerGivesUpWaitingForAConnectionAtItsDeadline) {
  std::latch asked(1);
  ScriptedHttpServer server([&](const auto&) {
    asked.count_down();
    return ScriptedReply{.then = Then::kHang};
  });
  const auto client = Client({.connection_count_max = 1});
  std::thread first([&] {
    Keep kept;
    EXPECT_FALSE(client->Send({.origin = server.origin(), .target = "/"}, kept,
                              Deadline::After(clock_, std::chrono::milliseconds(300))));
  });
  asked.wait();
  const auto outcome = client->Send({.origin = server.origin(), .target = "/"}, kept_,
                                    Deadline::After(clock_, std::chrono::milliseconds(20)));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error(), (Error{Errc::kTimedOut, "all 1 connections stayed in use"}));
  first.join();
}

TEST_F(HttpClientTest, AMissingCaFileIsToldAtOnce) {
  const auto client = HttpClient::Create({.ca_file = "/nowhere/ca.pem"}, clock_);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error(),
            (Error{Errc::kInvalid, "CA file /nowhere/ca.pem: No such file or directory"}));
}

}  // namespace
}  // namespace shoal
