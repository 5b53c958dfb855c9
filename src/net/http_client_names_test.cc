// The client while nobody answers for the endpoint's name.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string_view>

#include "net/http_client.h"

namespace shoal {
namespace {

// Answers for no name that ends in ".silent", until it is told to; after ten seconds in any
// case, so that a test that fails ends.
class SilentResolver {
 public:
  static constexpr Duration kSilence = std::chrono::seconds(10);

  int Ask() {
    std::unique_lock lock(mutex_);
    ++asking_count_;
    was_asked_ = true;
    changed_.notify_all();
    if (on_asked_) on_asked_();
    changed_.wait_for(lock, kSilence, [&] { return !silent_; });
    --asking_count_;
    changed_.notify_all();
    return EAI_AGAIN;
  }
  void BeSilent(std::function<void()> on_asked) {
    const std::lock_guard lock(mutex_);
    silent_ = true;
    was_asked_ = false;
    on_asked_ = std::move(on_asked);
  }
  // How many were asking still.
  int Answer() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return was_asked_; });
    const int asking_count = asking_count_;
    silent_ = false;
    on_asked_ = nullptr;
    changed_.notify_all();
    changed_.wait(lock, [&] { return asking_count_ == 0; });
    return asking_count;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool silent_ = false;
  bool was_asked_ = false;
  int asking_count_ = 0;
  std::function<void()> on_asked_;
};

SilentResolver& Resolver() {
  static SilentResolver resolver;
  return resolver;
}

}  // namespace
}  // namespace shoal

// Found before that of the C library, by libcurl too.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (node != nullptr && std::string_view(node).ends_with(".silent"))
    return shoal::Resolver().Ask();
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return next(node, service, hints, found);
}

namespace shoal {
namespace {

class Nothing final : public HttpReceiver {
 public:
  ByteSink* Begin(HttpHead) override { return nullptr; }
};

class HttpClientNamesTest : public testing::Test {
 protected:
  // What a call for such a name failed with; it was over before anybody answered.
  Errc Send(const HttpClientOptions& options, Duration wait) {
    const auto client = HttpClient::Create(options, clock_).value();
    Nothing nothing;
    const Result<> outcome = client->Send({.origin = "http://store.silent", .target = "/"}, nothing,
                                          Deadline::After(clock_, wait));
    EXPECT_EQ(Resolver().Answer(), 1);
    return outcome ? Errc::kInvalid : outcome.error().code;
  }

  SystemClock clock_;
};

TEST_F(HttpClientNamesTest, ACallEndsAtItsDeadlineThoughNobodyAnswersForTheName) {
  Resolver().BeSilent(nullptr);
  EXPECT_EQ(Send({}, std::chrono::milliseconds(200)), Errc::kTimedOut);
}

TEST_F(HttpClientNamesTest, AndWhenNoConnectionCameInTime) {
  Resolver().BeSilent(nullptr);
  EXPECT_EQ(Send({.connect_timeout = std::chrono::milliseconds(200)}, std::chrono::seconds(60)),
            Errc::kTimedOut);
}

TEST_F(HttpClientNamesTest, AndWhenTheClientIsStopped) {
  std::stop_source stop;
  Resolver().BeSilent([&] { stop.request_stop(); });
  EXPECT_EQ(Send({.stop = stop.get_token()}, std::chrono::seconds(60)), Errc::kInterrupted);
}

}  // namespace
}  // namespace shoal
