#include "control/warmup_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "control/warmup_store.h"
#include "testing/eventually.h"
#include "testing/warmup_service_fixture.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WarmupServiceTest : public WarmupServiceFixture {
 protected:
  // As a process that begins now would find it.
  std::optional<Status> SavedStatus(const std::string& path) {
    const auto copy = directory_.path() / "copy";
    std::filesystem::remove_all(copy);
    std::filesystem::create_directory(copy);
    for (const char* const name : {"tasks.db", "tasks.db-wal"})
      std::filesystem::copy(directory_.path() / name, copy / name);
    const auto tasks = WarmupStore(copy / "tasks.db").Load();
    if (!tasks) return {};
    const auto task = std::ranges::find(*tasks, path, &WarmupTask::path);
    return task == tasks->end() ? std::nullopt : std::optional(task->status);
  }
};

TEST_F(WarmupServiceTest, AFileThatWasLoadedIsReadWithoutTheOrigin) {
  Put("model/weights.bin", 9 * kMiB + 77);
  Start();
  const auto submitted = tasks_->Load("model/weights.bin", "");
  ASSERT_TRUE(submitted);
  EXPECT_EQ(submitted->status, Status::kRunning);
  EXPECT_GT(submitted->submitted_unix_micros, 1'765'274'023'424'073);
  const WarmupTask task = WaitForEnd("model/weights.bin");
  ExpectAllCompleted(task, 1, 9 * kMiB + 77);
  EXPECT_FALSE(task.is_directory);
  EXPECT_GE(task.ended_unix_micros, task.submitted_unix_micros);
  EXPECT_EQ(bucket_.gets()["model/weights.bin"], 3) << "in ranges";
  ExpectCached({"model/weights.bin"});
}

TEST_F(WarmupServiceTest, ADirectoryIsLoadedWithAllThatIsBelowItAndTheRootWithEverything) {
  bucket_.memory().set_page_keys_max(7);
  std::vector<std::string> in_directory;
  uint64_t bytes = 0;
  for (int i = 0; i < 60; ++i) {
    const std::string key = "d/" + std::to_string(i % 7) + "/" + std::to_string(i);
    Put(key, static_cast<size_t>(i) * 1000, static_cast<char>(i));
    in_directory.push_back(key);
    bytes += static_cast<uint64_t>(i) * 1000;
  }
  Put("e", 10);
  Start();
  const WarmupTask task = Run("d/");
  ExpectAllCompleted(task, 60, bytes);
  EXPECT_TRUE(task.is_directory);
  EXPECT_EQ(bucket_.gets().count("e"), 0);
  ExpectCached(in_directory);

  bucket_.ResetGets();
  ExpectAllCompleted(Run(""), 61, bytes + 10);
  EXPECT_THAT(bucket_.gets(), ElementsAre(std::pair("e", 1))) << "the others were there";
}

TEST_F(WarmupServiceTest, ThePatternPicksFilesAndEachPatternIsATaskOfItsOwn) {
  for (const char* const key : {"d/a_1", "d/a_2", "d/b_2"}) Put(key, 100);
  Start();
  ExpectAllCompleted(Run("d", ".*_2$"), 2, 200);
  EXPECT_EQ(bucket_.gets().count("d/a_1"), 0);
  ExpectAllCompleted(Run("d", "^a"), 2, 200);
  EXPECT_THAT(tasks_->Find("d", std::nullopt, 0), SizeIs(2));
  EXPECT_THAT(tasks_->Find("d", "^a", 0), SizeIs(1));
  EXPECT_THAT(tasks_->Find("d", "", 0), IsEmpty());
  EXPECT_THAT(tasks_->Find("d", std::nullopt, clock_.UnixMicros() + 1), IsEmpty());
}

TEST_F(WarmupServiceTest, WhatCannotBeLoadedIsRefusedWithTheReason) {
  Start();
  EXPECT_EQ(tasks_->Load("/mnt/a", "").error().code, Errc::kInvalid);
  EXPECT_EQ(tasks_->Load("../a", "").error().code, Errc::kInvalid);
  EXPECT_EQ(tasks_->Load("a", "(").error().code, Errc::kInvalid);
  EXPECT_THAT(tasks_->Newest(10), IsEmpty());
  tasks_.reset();
  tier_.reset();
  StartTasks();
  EXPECT_EQ(tasks_->Load("a", "").error().code, Errc::kUnsupported);
  EXPECT_THAT(tasks_->Newest(10), IsEmpty());
  Put("a", 5);
  EXPECT_EQ(tasks_->Examine("a", {})->total_bytes, 5);
}

TEST_F(WarmupServiceTest, WithoutACacheTasksOfBeforeAreKnownAndCanBeCanceledAndWaitForIt) {
  for (const char* const key : {"done", "canceled", "waiting"}) Put(key, 10);
  Start();
  Run("done");
  tasks_.reset();
  {
    const auto ends_soon = *StartWarmup(options_, bucket_, tier_.get(), demand_, clock_);
    for (const char* const path : {"canceled", "waiting"}) ASSERT_TRUE(ends_soon->Load(path, ""));
  }
  tier_.reset();
  StartTasks();
  const auto statuses = [this] {
    std::map<std::string, Status> found;
    for (const WarmupTask& task : tasks_->Newest(10)) found[task.path] = task.status;
    return found;
  };
  EXPECT_TRUE(Eventually([&] { return statuses().size() == 3; })) << "they are read";
  EXPECT_EQ(statuses(), (std::map<std::string, Status>{{"done", Status::kCompleted},
                                                       {"canceled", Status::kRunning},
                                                       {"waiting", Status::kRunning}}));
  EXPECT_TRUE(tasks_->Cancel("canceled", std::nullopt));
  Start();
  EXPECT_TRUE(Eventually([&] { return statuses()["waiting"] == Status::kCompleted; }));
  EXPECT_EQ(statuses()["canceled"], Status::kCanceled);
}

TEST_F(WarmupServiceTest, WithoutACacheNoFileOfTasksIsMade) {
  StartTasks();
  EXPECT_THAT(tasks_->Newest(10), IsEmpty());
  tasks_.reset();
  EXPECT_FALSE(std::filesystem::exists(options_.state_file));
}

TEST_F(WarmupServiceTest, APathThatIsNotThereFailsWithENOENT) {
  Start();
  const WarmupTask task = Run("nothing/here");
  EXPECT_EQ(task.status, Status::kFailed);
  EXPECT_EQ(task.error_code, ENOENT);
  EXPECT_THAT(task.error_message, HasSubstr("'nothing/here'"));
}

TEST_F(WarmupServiceTest, WhatDoesNotFitFailsAtTheStartWithBothFigures) {
  Put("d/1", 6 * kMiB);
  Put("d/2", 7 * kMiB);
  Start(12 * kMiB);
  const WarmupTask task = Run("d");
  EXPECT_EQ(task.status, Status::kFailed);
  EXPECT_EQ(task.error_code, ENOSPC);
  EXPECT_THAT(task.error_message, HasSubstr("14 MiB"));
  EXPECT_THAT(task.error_message, HasSubstr("room for 12 MiB"));
  EXPECT_EQ(task.total_bytes, 13 * kMiB);
  EXPECT_THAT(bucket_.gets(), IsEmpty());
  ExpectAllCompleted(Run("d/2"), 1, 7 * kMiB);
}

TEST_F(WarmupServiceTest, NearlyAllOfTheCacheIsLoadedOverWhatWasThere) {
  std::vector<std::string> keys;
  for (int i = 0; i < 110; ++i) {
    Put("old/" + std::to_string(i), 100'000);
    Put("new/" + std::to_string(i), 100'000, 'n');
    keys.push_back("new/" + std::to_string(i));
  }
  Start(13 * kMiB);
  ASSERT_EQ(Run("old").status, Status::kCompleted);
  ExpectAllCompleted(Run("new"), 110, 11'000'000);
  ExpectCached(keys);
}

TEST_F(WarmupServiceTest, WhatATaskFindsInTheCacheIsNotDisplacedByItsRest) {
  Start(13 * kMiB);
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    Put("old/" + std::to_string(i), 100'000);
    Put("new/" + std::to_string(i), 100'000, 'n');
    keys.push_back("new/" + std::to_string(i));
  }
  for (int i = 0; i < 45; ++i) {  // read, and asked for by nobody
    StringSink sink;
    const ObjectVersion version = bucket_.memory().Head("new/" + std::to_string(i), {})->version;
    ASSERT_TRUE(tier_->Open(version)->Read({.range = {0, 100'000}, .deadline = {}}, sink));
    tier_->volumes()[0]->WaitUntilWritten();
  }
  ASSERT_EQ(Run("old", "^[0-4]?[0-9]$").status, Status::kCompleted);
  bucket_.ResetGets();
  ExpectAllCompleted(Run("new"), 100, 10'000'000);
  EXPECT_EQ(bucket_.gets().size(), 55) << "those that were not there";
  ExpectCached(keys);
}

TEST_F(WarmupServiceTest, AnObjectThatFailsIsTriedAgainAndThenCountedWithTheReason) {
  for (int i = 0; i < 20; ++i) Put("d/" + std::to_string(i), 5000);
  bucket_.FailGets("d/3", {Errc::kUnreachable, "cut"}, 2);
  bucket_.FailGets("d/4", {Errc::kUnreachable, "no answer"}, 1000);
  bucket_.FailGets("d/5", {Errc::kDenied, "not yours"}, 1000);
  Start();
  const WarmupTask task = Run("d");
  EXPECT_EQ(task.status, Status::kFailed);
  EXPECT_EQ(task.error_code, EACCES);
  EXPECT_THAT(task.error_message, HasSubstr("2 of 20 files"));
  EXPECT_THAT(task.error_message, HasSubstr("'d/5': not yours"));
  EXPECT_EQ(task.completed_object_count, 18);
  EXPECT_EQ(task.completed_bytes, 18 * 5000);
  EXPECT_EQ(task.total_bytes, 20 * 5000);
  EXPECT_EQ(bucket_.gets()["d/3"], 3);
  EXPECT_EQ(bucket_.gets()["d/4"], 3);
  EXPECT_EQ(bucket_.gets()["d/5"], 1) << "trying again cannot help";
  ExpectCached({"d/3", "d/19"});
}

TEST_F(WarmupServiceTest, AnArchivedObjectIsCountedAsFailedAndNotAskedFor) {
  Put("d/1", 100);
  bucket_.memory().Put("d/2", Bytes(100), StorageClass::kArchive);
  Start();
  const WarmupTask task = Run("d");
  EXPECT_EQ(task.status, Status::kFailed);
  EXPECT_EQ(task.error_code, EACCES);
  EXPECT_THAT(task.error_message, HasSubstr("1 of 2 files"));
  EXPECT_EQ(bucket_.gets().count("d/2"), 0);
  ExpectCached({"d/1"});
}

TEST_F(WarmupServiceTest, AnObjectThatWasRestoredIsLoadedThoughTheListingSaysArchived) {
  Put("d/1", 100);
  bodies_["d/2"] = Bytes(200);
  bucket_.memory().Put("d/2", bodies_["d/2"], StorageClass::kArchive);
  bucket_.memory().Restore("d/2");
  Start();
  ExpectAllCompleted(Run("d"), 2, 300);
  ExpectCached({"d/1", "d/2"});
}

TEST_F(WarmupServiceTest, OfALinkTheBytesOfItsTargetAreLoaded) {
  Put("target", 100);
  bodies_["d/link"] = bodies_["target"];
  bucket_.memory().Link("d/link", "target");
  Start();
  ExpectAllCompleted(Run("d"), 1, 100);
  ExpectCached({"d/link"});
}

TEST_F(WarmupServiceTest, AnObjectThatChangesMeanwhileIsLoadedAsItIsNow) {
  Put("d/1", 1000);
  Put("d/2", 1000);
  bucket_.Before("d/2", [this] { Put("d/2", 2500, 'z'); });
  Start();
  ExpectAllCompleted(Run("d"), 2, 3500);
  ExpectCached({"d/1", "d/2"});
  Put("d/1", 4000, 'y');
  ExpectAllCompleted(Run("d"), 2, 6500);
  ExpectCached({"d/1", "d/2"});
}

TEST_F(WarmupServiceTest, AnObjectThatIsDeletedMeanwhileWasNeverPartOfIt) {
  Put("d/1", 1000);
  Put("d/2", 1000);
  bucket_.Before("d/2", [this] { bucket_.memory().Delete("d/2"); });
  Start();
  ExpectAllCompleted(Run("d"), 1, 1000);
  bucket_.Before("d/1", [this] { bucket_.memory().Delete("d/1"); });
  std::filesystem::remove_all(directory_.path() / "cache0");
  Start();
  EXPECT_EQ(Run("d/1").error_code, ENOENT);
}

TEST_F(WarmupServiceTest, AListingThatFailsFailsTheTaskWithTheStoresReason) {
  Put("d/1", 1000);
  bucket_.memory().FailWith(Error{Errc::kDenied, "HTTP 403"});
  Start();
  const WarmupTask task = Run("d");
  EXPECT_EQ(task.error_code, EACCES);
  EXPECT_EQ(task.error_message, "HTTP 403");
}

TEST_F(WarmupServiceTest, MoreThanIsKeptInMemoryIsListedAgain) {
  bucket_.memory().set_page_keys_max(10);
  options_.listed_count_max = 25;
  std::vector<std::string> keys;
  for (int i = 0; i < 95; ++i) {
    Put("d/" + std::to_string(i), 3000, static_cast<char>(i));
    keys.push_back("d/" + std::to_string(i));
  }
  Start();
  ExpectAllCompleted(Run("d"), 95, 95 * 3000);
  ExpectCached(keys);
  for (int round = 0; round < 3; ++round) ExpectAllCompleted(Run("d"), 95, 95 * 3000);
}

TEST_F(WarmupServiceTest, PathsOfRunningTasksTakeNoMoreThanWasPlannedFor) {
  options_.text_bytes_max = kKiB;
  Put(std::string(600, 'x'), 1000);
  Put("a", 1000);
  Start();
  bucket_.Hold();
  EXPECT_TRUE(tasks_->Load(std::string(600, 'x'), ""));
  EXPECT_TRUE(tasks_->Load("a", ""));
  const auto refused = tasks_->Load(std::string(600, 'y'), "");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kBusy);
  EXPECT_EQ(refused.error().detail,
            "the paths and patterns of running warm-up tasks are 1 KiB, which is as much as there "
            "may be");
  bucket_.Release();
}

TEST_F(WarmupServiceTest, TheSameTaskIsNotStartedTwice) {
  Put("a", 1000);
  Start();
  bucket_.Hold();
  const auto first = tasks_->Load("a", "");
  const auto second = tasks_->Load("a/", "");
  EXPECT_EQ(first->id, second->id);
  bucket_.Release();
  WaitForEnd("a");
  EXPECT_NE(tasks_->Load("a", "")->id, first->id);
}

TEST_F(WarmupServiceTest, CancelEndsATaskAtOnceAndTheOthersGoOn) {
  for (int i = 0; i < 100; ++i) Put("d/" + std::to_string(i), 1000);
  Put("e", 1000);
  Start();
  bucket_.Hold();
  ASSERT_TRUE(tasks_->Load("d", ""));
  ASSERT_TRUE(tasks_->Load("e", ""));
  bucket_.WaitForHeld(8);
  const auto canceled = tasks_->Cancel("d", std::nullopt);
  ASSERT_TRUE(canceled);
  ASSERT_THAT(*canceled, SizeIs(1));
  EXPECT_EQ(canceled->front().status, Status::kCanceled);
  EXPECT_EQ(canceled->front().total_object_count, 100);
  EXPECT_EQ(Newest("d").status, Status::kCanceled) << "although requests are under way";
  bucket_.Release();
  EXPECT_EQ(WaitForEnd("e").status, Status::kCompleted);
  StartTasks();  // by now all of it has ended
  EXPECT_LE(bucket_.gets().size(), 9) << "those under way";
  EXPECT_EQ(Newest("d").status, Status::kCanceled) << "also for the next process";
}

TEST_F(WarmupServiceTest, OnlyWhatRunsIsCanceledAndTheAnswerSaysWhyNot) {
  Put("a", 1000);
  Start();
  EXPECT_EQ(tasks_->Cancel("a", std::nullopt).error().code, Errc::kNotFound);
  Run("a");
  const auto canceled = tasks_->Cancel("a", std::nullopt);
  EXPECT_EQ(canceled.error().code, Errc::kInvalid);
  EXPECT_THAT(canceled.error().detail, HasSubstr("completed"));
  EXPECT_EQ(tasks_->Cancel("a", "x").error().code, Errc::kNotFound);
}

TEST_F(WarmupServiceTest, ATaskGoesOnInTheNextProcessWithWhatIsMissing) {
  std::vector<std::string> keys;
  for (int i = 0; i < 50; ++i) {
    Put("d/" + std::to_string(i), 20'000, static_cast<char>(i));
    keys.push_back("d/" + std::to_string(i));
  }
  Start();
  ASSERT_EQ(Run("d/7").status, Status::kCompleted);
  bucket_.Hold();
  const uint64_t id = tasks_->Load("d", "")->id;
  bucket_.WaitForHeld(8);
  std::thread releasing([this] { bucket_.Release(); });
  Stop();
  releasing.join();
  bucket_.ResetGets();
  Start();
  const WarmupTask task = WaitForEnd("d");
  EXPECT_EQ(task.id, id);
  ExpectAllCompleted(task, 50, 50 * 20'000);
  EXPECT_EQ(bucket_.gets().count("d/7"), 0);
  EXPECT_EQ(Newest("d/7").status, Status::kCompleted) << "the history is there as well";
  ExpectCached(keys);
}

TEST_F(WarmupServiceTest, ATaskThatHasEndedIsOnTheDiskAtOnceAndNotOnlyWithTheNextSecond) {
  Start();
  // Ten seconds if each had to wait for its second.
  const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (int i = 0; i < 10; ++i) {
    const std::string path = "d/" + std::to_string(i);
    if (i > 0) Put(path, 1000);
    const Status ended = Run(path).status;
    EXPECT_EQ(ended, i > 0 ? Status::kCompleted : Status::kFailed);
    while (SavedStatus(path) != ended && std::chrono::steady_clock::now() < late)
      std::this_thread::yield();
  }
  EXPECT_LT(std::chrono::steady_clock::now(), late);
}

TEST_F(WarmupServiceTest, ThousandsOfPathsAreSubmittedAndCanceledAtOnce) {
  std::vector<std::string> paths;
  for (int i = 0; i < 10'000; ++i) paths.push_back("d/" + std::to_string(i));
  paths.push_back("/absolute");
  for (int i = 0; i < 10'000; i += 100) Put("d/" + std::to_string(i), 100);
  Start();
  const auto loaded = tasks_->LoadAll(paths, "");
  ASSERT_EQ(loaded.size(), paths.size());
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(loaded[static_cast<size_t>(i)]);
  EXPECT_EQ(loaded.back().error().code, Errc::kInvalid);
  EXPECT_EQ(WaitForEnd("d/9900").status, Status::kCompleted);
  EXPECT_EQ(WaitForEnd("d/9999").error_code, ENOENT);
  while (tasks_->Newest(1).front().status == Status::kRunning) std::this_thread::yield();
  bucket_.Hold();
  Put("e", 100);
  paths.resize(1000);
  paths.emplace_back("e");
  ASSERT_TRUE(tasks_->Load("e", ""));
  EXPECT_EQ(tasks_->RunningCount(), 1);
  const auto canceled = tasks_->CancelAll(paths, std::nullopt);
  EXPECT_EQ(tasks_->RunningCount(), 0);
  EXPECT_FALSE(canceled.front());
  EXPECT_TRUE(canceled.back());
  bucket_.Release();
  StartTasks();
  EXPECT_EQ(Newest("e").status, Status::kCanceled);
  EXPECT_EQ(tasks_->Newest(100'000).size(), 10'000);
}

TEST_F(WarmupServiceTest, ADiskThatFailsFailsTheTaskAndOneThatFailsForAMomentDoesNot) {
  Put("d/1", 1000);
  Put("d/2", 2 * kMiB);
  Start();
  trouble_->FailCall(0, {Errc::kNoSpace, "full"}, false);
  ExpectAllCompleted(Run("d"), 2, 2 * kMiB + 1000);
  Put("d/1", 1001);
  trouble_->FailCall(0, {Errc::kUnreachable, "broken"}, true);
  const WarmupTask task = Run("d");
  EXPECT_EQ(task.status, Status::kFailed);
  EXPECT_EQ(task.error_code, EIO);
  trouble_->EndFailing();
}

TEST_F(WarmupServiceTest, ADiskThatCannotKeepTheTasksDoesNotStopThem) {
  std::filesystem::create_directory(directory_.path() / "tasks.db");
  Put("a", 1000);
  Start();
  ExpectAllCompleted(Run("a"), 1, 1000);
  StartTasks();
  EXPECT_THAT(tasks_->Newest(10), IsEmpty());
  std::filesystem::remove(directory_.path() / "tasks.db");
  Run("a");
  StartTasks();
  EXPECT_THAT(tasks_->Newest(10), SizeIs(1)) << "once it works";
}

TEST_F(WarmupServiceTest, AFileOfTasksThatIsDamagedIsPutAside) {
  std::ofstream(options_.state_file)
      << "not a database, and longer than the head of one " << std::string(200, 'x');
  Put("a", 1000);
  Start();
  ExpectAllCompleted(Run("a"), 1, 1000);
  EXPECT_TRUE(std::filesystem::exists(options_.state_file + ".damaged"));
  StartTasks();
  EXPECT_EQ(Newest("a").status, Status::kCompleted);
}

TEST_F(WarmupServiceTest, WithoutAFileTasksRunAllTheSame) {
  options_.state_file = "";
  Put("a", 1000);
  Start();
  ExpectAllCompleted(Run("a"), 1, 1000);
}

TEST_F(WarmupServiceTest, ExamineSaysHowMuchIsCachedOfTheVersionsThatThereAre) {
  Put("d/1", 1000);
  Put("d/2", 3 * kMiB);
  Put("d/3", 0);
  Start();
  const auto examine = [&] {
    const auto found = *tasks_->Examine("d", {});
    return std::vector<uint64_t>{found.object_count, found.total_bytes, found.cached_object_count,
                                 found.cached_bytes};
  };
  EXPECT_THAT(examine(), ElementsAre(3, 3 * kMiB + 1000, 1, 0)) << "an empty file is always there";
  Run("d/2");
  EXPECT_THAT(examine(), ElementsAre(3, 3 * kMiB + 1000, 2, 3 * kMiB));
  Put("d/2", 500);
  EXPECT_THAT(examine(), ElementsAre(3, 1500, 1, 0));
  EXPECT_EQ(tasks_->Examine("x", {}).error().code, Errc::kNotFound);
  EXPECT_EQ(tasks_->Examine("/", {}).error().code, Errc::kInvalid);
  EXPECT_EQ(tasks_->Examine("d", Deadline{clock_.Now()}).error().code, Errc::kTimedOut);
}

TEST_F(WarmupServiceTest, SeveralDirectoriesHaveRoomEachForItsOwn) {
  Start(9 * kMiB, 2);
  for (int i = 0; i < 20; ++i) Put("d/" + std::to_string(i), 500'000);
  ExpectAllCompleted(Run("d"), 20, 10'000'000);
  for (int i = 0; i < 60; ++i) Put("d/" + std::to_string(i), 500'000);
  const WarmupTask task = Run("d");
  EXPECT_EQ(task.error_code, ENOSPC);
  EXPECT_THAT(task.error_message, HasSubstr("of them are for"));
}

TEST_F(WarmupServiceTest, ABadOptionIsRefused) {
  options_.connection_count_max = 0;
  const auto tasks = StartWarmup(options_, bucket_, nullptr, demand_, clock_);
  ASSERT_FALSE(tasks);
  EXPECT_THAT(tasks.error().detail, HasSubstr("warmup_connections"));
}

}  // namespace
}  // namespace shoal
