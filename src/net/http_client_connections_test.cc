// Which connections a client makes, keeps and uses again.
#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <functional>
#include <latch>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "testing/fake_clock.h"
#include "testing/http_client_fixture.h"
#include "testing/scripted_http_server.h"

namespace shoal {
namespace {

using Then = ScriptedReply::Then;

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
    KeepAnswer from_one;
    KeepAnswer from_two;
    ASSERT_TRUE(client->Send({.origin = one.origin(), .target = "/"}, from_one, Soon()));
    ASSERT_TRUE(client->Send({.origin = two.origin(), .target = "/"}, from_two, Soon()));
    EXPECT_EQ(from_one.body.text(), "one");
    EXPECT_EQ(from_two.body.text(), "two");
  }
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

// Says each of its answers to one who connects, and nothing more if told so; it reads nothing.
class DeafServer {
 public:
  explicit DeafServer(std::vector<std::string> answers, bool shuts_down = false)
      : acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
    thread_ = std::thread([this, shuts_down, answers = std::move(answers)] {
      for (const std::string& answer : answers) {
        sockets_.push_back(acceptor_.accept());
        boost::asio::write(sockets_.back(), boost::asio::buffer(answer));
        if (shuts_down) sockets_.back().shutdown(boost::asio::socket_base::shutdown_send);
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

TEST_F(HttpClientTest, AServerThatTakesNoMoreAndSaysNothingHasBrokenTheConnection) {
  DeafServer server({""}, /*shuts_down=*/true);
  const auto outcome = Client({.stall_timeout = std::chrono::hours(1)})
                           ->Send({.method = "POST",
                                   .origin = server.origin(),
                                   .target = "/",
                                   .body = std::string(32 * kMiB, 'x')},
                                  kept_, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnreachable) << outcome.error().detail;
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

  KeepAnswer next;  // which is not taken for the rest of the other
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
  KeepAnswer kept;
  const auto outcome =
      client->Send({.method = "POST", .origin = server.origin(), .target = "/"}, kept, Soon());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnreachable);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(HttpClientTest, MakesNoMoreConnectionsThanItsBound) {
  std::latch both_sent(2);
  ScriptedHttpServer server([](const auto&) { return Answer("200 OK", "", "x"); });
  const auto client = Client({.connection_count_max = 1});
  const auto send_many = [&] {
    both_sent.arrive_and_wait();
    for (int i = 0; i < 50; ++i) {
      KeepAnswer kept;
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
    KeepAnswer kept;
    EXPECT_FALSE(client->Send({.origin = server.origin(), .target = "/hangs"}, kept,
                              Deadline::After(clock_, std::chrono::seconds(2))));
  });
  asked.wait();
  std::thread second([&] {
    KeepAnswer kept;
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
  KeepAnswer kept_;
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
    KeepAnswer kept;
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

}  // namespace
}  // namespace shoal
