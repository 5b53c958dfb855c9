#include "net/http_client.h"

#include <gtest/gtest.h>

#include <stop_token>
#include <string>

#include "testing/fake_clock.h"
#include "testing/http_client_fixture.h"
#include "testing/offering_receiver.h"
#include "testing/scripted_http_server.h"

namespace shoal {
namespace {

using Then = ScriptedReply::Then;

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

TEST_F(HttpClientTest, SendsThePathAsItIs) {
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", ""); });
  ASSERT_TRUE(Client()->Send({.origin = server.origin(), .target = "/a/../b//./%2e%00?x=%2F"},
                             kept_, Soon()));
  EXPECT_EQ(server.requests()[0].target, "/a/../b//./%2e%00?x=%2F");
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
    KeepAnswer kept;
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

  KeepAnswer unwilling;
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

TEST_F(HttpClientTest, AMissingCaFileIsToldAtOnce) {
  const auto client = HttpClient::Create({.ca_file = "/nowhere/ca.pem"}, clock_);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error(),
            (Error{Errc::kInvalid, "CA file /nowhere/ca.pem: No such file or directory"}));
}

}  // namespace
}  // namespace shoal
