// What a running warm-up says of how far it has come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "control/warmup_service.h"
#include "control/warmup_store.h"
#include "testing/warmup_service_fixture.h"

namespace shoal {
namespace {

class WarmupProgressTest : public WarmupServiceFixture {
 protected:
  // As an earlier process would, of objects of 4 MiB.
  void LeaveRunningWithTwoOfThreeObjects() {
    WarmupTask task;
    task.id = 1;
    task.path = "d";
    task.completed_bytes = 9 * kMiB;
    task.total_bytes = 12 * kMiB;
    task.completed_object_count = 2;
    task.total_object_count = 3;
    ASSERT_TRUE(WarmupStore(options_.state_file).Save(std::span(&task, 1), {}));
  }
};

TEST_F(WarmupProgressTest, ProgressOfALargeFileIsSeen) {
  Put("large", 40 * kMiB);
  options_.connection_count_max = 1;
  Start();
  bucket_.Hold();
  bucket_.Before("large", [this] { bucket_.Hold(); });
  ASSERT_TRUE(tasks_->Load("large", ""));
  bucket_.WaitForHeld(1);
  EXPECT_EQ(Newest("large").total_bytes, 40 * kMiB);
  EXPECT_EQ(Newest("large").completed_bytes, 0);
  bucket_.Release();  // one request
  while (Newest("large").completed_bytes == 0) std::this_thread::yield();
  EXPECT_EQ(Newest("large").completed_bytes, 4 * kMiB);
  EXPECT_EQ(Newest("large").completed_object_count, 0);
  bucket_.Release();
  ExpectAllCompleted(WaitForEnd("large"), 1, 40 * kMiB);
}

TEST_F(WarmupProgressTest, BytesCountAsCompletedAsTheyArrive) {
  Put("large", 20 * kMiB);
  Start();
  bucket_.HoldAfter(kMiB);
  ASSERT_TRUE(tasks_->Load("large", ""));
  // A MiB of each of five ranges.
  while (Newest("large").completed_bytes < 5 * kMiB) std::this_thread::yield();
  EXPECT_EQ(Newest("large").completed_bytes, 5 * kMiB);
  EXPECT_EQ(Newest("large").completed_object_count, 0);
  bucket_.Release();
  ExpectAllCompleted(WaitForEnd("large"), 1, 20 * kMiB);
}

TEST_F(WarmupProgressTest, WhatAnotherTaskBringsCountsForBoth) {
  Put("d/large", 12 * kMiB);
  Start();
  bucket_.HoldAfter(3 * kMiB);
  ASSERT_TRUE(tasks_->Load("d", ""));
  while (Newest("d").completed_bytes < 9 * kMiB) std::this_thread::yield();
  ASSERT_TRUE(tasks_->Load("d/large", ""));
  while (Newest("d/large").completed_bytes < 6 * kMiB) std::this_thread::yield();
  bucket_.Release();
  ExpectAllCompleted(WaitForEnd("d"), 1, 12 * kMiB);
  ExpectAllCompleted(WaitForEnd("d/large"), 1, 12 * kMiB);
}

TEST_F(WarmupProgressTest, WhatIsCompletedFallsAtNoAttemptAndIsTheTruthInTheEnd) {
  Put("d/1", 20 * kMiB);
  Put("d/2", 5000);
  Start();
  trouble_->FailCall(0, {Errc::kNoSpace, "full"}, true);
  bucket_.HoldAfter(kMiB);
  ASSERT_TRUE(tasks_->Load("d", ""));
  uint64_t completed_bytes = 0;
  while (completed_bytes == 0) completed_bytes = Newest("d").completed_bytes;
  bucket_.Release();
  while (true) {
    const WarmupTask task = Newest("d");
    if (task.status != Status::kRunning) break;
    EXPECT_GE(task.completed_bytes, completed_bytes);
    completed_bytes = task.completed_bytes;
  }
  const WarmupTask task = Newest("d");
  EXPECT_EQ(task.status, Status::kFailed);
  EXPECT_EQ(task.completed_bytes, 0);
}

TEST_F(WarmupProgressTest, WhatCountedInAnEarlierProcessCountsInTheNextAlthoughItListsAgain) {
  Put("d/1", 4 * kMiB);
  Put("d/2", 4 * kMiB);
  Put("d/3", 4 * kMiB);
  LeaveRunningWithTwoOfThreeObjects();
  bucket_.Hold();
  bucket_.HoldLists(true);
  Start();  // with a cache that has lost all of it
  const auto expect_as_before = [this] {
    const WarmupTask task = Newest("d");
    EXPECT_EQ(task.completed_bytes, 9 * kMiB);
    EXPECT_EQ(task.completed_object_count, 2);
  };
  expect_as_before();
  bucket_.HoldLists(false);
  bucket_.WaitForHeld(1);
  expect_as_before();
  bucket_.Release();
  ExpectAllCompleted(WaitForEnd("d"), 3, 12 * kMiB);
}

TEST_F(WarmupProgressTest, OfWhatIsLessThanInAnEarlierProcessNoMoreThanAllCounts) {
  Put("d/1", 4 * kMiB);
  LeaveRunningWithTwoOfThreeObjects();
  bucket_.Hold();
  Start();
  bucket_.WaitForHeld(1);
  EXPECT_EQ(Newest("d").completed_bytes, 4 * kMiB);
  EXPECT_EQ(Newest("d").completed_object_count, 1);
  bucket_.Release();
  ExpectAllCompleted(WaitForEnd("d"), 1, 4 * kMiB);
}

}  // namespace
}  // namespace shoal
