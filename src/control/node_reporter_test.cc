#include "control/node_reporter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "testing/adjustable_clock.h"
#include "testing/memory_file_system.h"

namespace shoal {
namespace {

// One that serves nothing, and has been in a request for as long as a test says.
class IdleSession final : public Session {
 public:
  void OnBegun(std::function<void()>) override {}
  [[nodiscard]] const std::vector<std::byte>& init_message() const override { return init_; }
  [[nodiscard]] SessionFacts facts() const override { return {}; }
  [[nodiscard]] const RequestMetrics& metrics() const override { return metrics_; }
  [[nodiscard]] Duration longest_receipt() const override { return longest; }
  Result<> ForgetNames() override { return {}; }
  Result<> Serve() override { return {}; }
  void Hold() override {}
  void Stop() override {}

  std::atomic<Duration> longest{};

 private:
  SystemClock clock_;
  RequestMetrics metrics_{clock_};
  std::vector<std::byte> init_;
};

class NodeReporterTest : public testing::Test {
 protected:
  AdjustableClock clock_;
  Tiers tiers_;
  PlaceCounters reads_;
  PlaceCounters fetches_;
  StoreMetrics store_;
  Counter hidden_keys_{"hidden_keys", ""};
  MemoryFileSystem file_system_;
  IdleSession session_;
  NodeReporter reporter_{{.version = "1",
                          .source = "bucket:/",
                          .mount_point = "/mnt/data",
                          .type = "alinas",
                          .tiers = tiers_,
                          .reads = reads_,
                          .fetches = fetches_,
                          .store = store_,
                          .hidden_keys = hidden_keys_,
                          .file_system = file_system_,
                          .session = session_,
                          .clock = clock_}};
};

TEST_F(NodeReporterTest, AThreadThatIsInOneRequestForTenSecondsIsStuckAndTheNodeNotReady) {
  session_.longest = std::chrono::milliseconds(9999);
  EXPECT_EQ(reporter_.Stuck(), std::nullopt);
  EXPECT_TRUE(reporter_.Ready().ready);
  session_.longest = std::chrono::seconds(10);
  const std::string reason =
      "a thread that receives the kernel's requests has been in one for 10 s";
  EXPECT_EQ(reporter_.Stuck(), reason);
  EXPECT_FALSE(reporter_.Ready().ready);
  EXPECT_EQ(reporter_.Ready().reason, reason);
  session_.longest = Duration::zero();
  EXPECT_EQ(reporter_.Stuck(), std::nullopt);
  EXPECT_TRUE(reporter_.Ready().ready);
}

TEST_F(NodeReporterTest, AStoreThatDoesNotAnswerStopsReadinessAndMakesNobodyStuck) {
  const Error no_route{Errc::kUnreachable, "no route"};
  store_.Ended(StoreMetrics::Kind::kHead, std::chrono::seconds(30), &no_route, "key");
  EXPECT_EQ(reporter_.Ready().reason, "no route");
  EXPECT_EQ(reporter_.Stuck(), std::nullopt);
}

TEST_F(NodeReporterTest, AStoreIsSilentTenSecondsAfterItAnsweredLast) {
  EXPECT_TRUE(reporter_.StoreIsSilent()) << "it was never asked";
  const auto ended = [&](const Error* error) {
    store_.Ended(StoreMetrics::Kind::kHead, std::chrono::seconds(1), error, "key");
  };
  ended(nullptr);
  EXPECT_FALSE(reporter_.StoreIsSilent());
  clock_.Advance(std::chrono::seconds(11));
  EXPECT_TRUE(reporter_.StoreIsSilent());
  const Error no_route{Errc::kUnreachable, "no route"};
  ended(&no_route);
  EXPECT_TRUE(reporter_.StoreIsSilent()) << "that was no answer";
  const Error missing{Errc::kNotFound, "no such key"};
  ended(&missing);
  EXPECT_FALSE(reporter_.StoreIsSilent());
}

}  // namespace
}  // namespace shoal
