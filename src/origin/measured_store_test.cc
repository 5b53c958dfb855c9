#include "origin/measured_store.h"

#include <gtest/gtest.h>

#include <functional>

#include "testing/fake_clock.h"
#include "testing/memory_object_store.h"

namespace shoal {
namespace {

class IgnoringSink final : public ByteSink {
 public:
  explicit IgnoringSink(bool wants_more = true) : wants_more_(wants_more) {}
  bool Append(std::span<const std::byte>) override { return wants_more_; }

 private:
  const bool wants_more_;
};

class MeasuredStoreTest : public ::testing::Test {
 protected:
  MeasuredStoreTest() {
    auto bucket = std::make_unique<MemoryObjectStore>();
    bucket_ = bucket.get();
    bucket_->Put("key", "0123456789");
    store_ = std::make_unique<MeasuredStore>(std::move(bucket), metrics_, clock_);
  }

  Result<GetAnswer> Get(ByteSink& sink) {
    const auto info = bucket_->Head("key", {});
    return store_->Get(info->version, {2, 5}, sink, {});
  }

  FakeClock clock_;
  StoreMetrics metrics_;
  MemoryObjectStore* bucket_;
  std::unique_ptr<MeasuredStore> store_;
};

TEST_F(MeasuredStoreTest, CountsCallsAndTheBytesOfObjects) {
  IgnoringSink sink;
  ASSERT_TRUE(Get(sink));
  ASSERT_TRUE(store_->Head("key", {}));
  ASSERT_TRUE(store_->List({}, {}));
  EXPECT_EQ(metrics_.latency(StoreMetrics::Kind::kGet).Take().count(), 1U);
  EXPECT_EQ(metrics_.latency(StoreMetrics::Kind::kHead).Take().count(), 1U);
  EXPECT_EQ(metrics_.latency(StoreMetrics::Kind::kList).Take().count(), 1U);
  EXPECT_EQ(metrics_.received_bytes().Value(), 5U);
  EXPECT_EQ(metrics_.error_count(StoreMetrics::Kind::kHead), 0U);
  EXPECT_FALSE(metrics_.trouble());
}

TEST_F(MeasuredStoreTest, IsInTroubleUntilTheStoreAnswersAgain) {
  bucket_->FailWith(Error{Errc::kUnreachable, "HeadObject: HTTP 500"});
  EXPECT_FALSE(store_->Head("key", {}));
  ASSERT_TRUE(metrics_.trouble());
  EXPECT_EQ(metrics_.trouble()->detail, "HeadObject: HTTP 500");
  EXPECT_EQ(metrics_.error_count(StoreMetrics::Kind::kHead), 1U);
  bucket_->FailWith(std::nullopt);
  EXPECT_FALSE(store_->Head("no such key", {}));  // an answer
  EXPECT_FALSE(metrics_.trouble());
  EXPECT_EQ(metrics_.error_count(StoreMetrics::Kind::kHead), 1U);
}

TEST_F(MeasuredStoreTest, OneObjectThatIsRefusedIsNoTroubleAndTwoAre) {
  bucket_->FailWith(Error{Errc::kDenied, "HTTP 403"});
  EXPECT_FALSE(store_->Head("key", {}));
  EXPECT_FALSE(store_->Head("key", {}));
  EXPECT_FALSE(metrics_.trouble());
  EXPECT_EQ(metrics_.error_count(StoreMetrics::Kind::kHead), 2U);
  EXPECT_FALSE(store_->Head("another", {}));
  EXPECT_TRUE(metrics_.trouble());
}

TEST_F(MeasuredStoreTest, AnAnswerBetweenTwoRefusalsSaysThatAllIsWell) {
  for (const char* key : {"key", "another"}) {
    bucket_->FailWith(Error{Errc::kDenied, "HTTP 403"});
    EXPECT_FALSE(store_->Head(key, {}));
    EXPECT_FALSE(metrics_.trouble());
    bucket_->FailWith(std::nullopt);
    EXPECT_TRUE(store_->Head("key", {}));
  }
}

TEST_F(MeasuredStoreTest, AListingThatIsRefusedIsTrouble) {
  bucket_->FailWith(Error{Errc::kDenied, "HTTP 403"});
  EXPECT_FALSE(store_->List({}, {}));
  EXPECT_TRUE(metrics_.trouble());
}

// A key that the store finds too long, or a certificate that has expired.
TEST_F(MeasuredStoreTest, OneRequestThatMakesNoSenseIsNoTroubleAndTwoAre) {
  bucket_->FailWith(Error{Errc::kUnusable, "HTTP 400"});
  EXPECT_FALSE(store_->Head("key", {}));
  EXPECT_FALSE(metrics_.trouble());
  bucket_->FailWith(Error{Errc::kUnusable, "certificate has expired"});
  EXPECT_FALSE(store_->Head("another", {}));
  ASSERT_TRUE(metrics_.trouble());
  EXPECT_EQ(metrics_.trouble()->detail, "certificate has expired");
}

TEST_F(MeasuredStoreTest, AListingThatCannotBeAskedForIsTrouble) {
  bucket_->FailWith(Error{Errc::kUnusable, "certificate has expired"});
  EXPECT_FALSE(store_->List({}, {}));
  EXPECT_TRUE(metrics_.trouble());
}

TEST_F(MeasuredStoreTest, LearnsNothingFromAReaderThatLeaves) {
  bucket_->FailWith(Error{Errc::kUnreachable, "no route"});
  EXPECT_FALSE(store_->Head("key", {}));
  bucket_->FailWith(std::nullopt);
  IgnoringSink leaving(false);
  EXPECT_FALSE(Get(leaving));
  EXPECT_TRUE(metrics_.trouble());
}

}  // namespace
}  // namespace shoal
