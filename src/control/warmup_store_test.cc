#include "control/warmup_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "testing/temporary_directory.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

WarmupTask Task(uint64_t id) {
  return {.id = id,
          .path = "dir\0 with \xff, '\""s + std::to_string(id),
          .pattern = ".*_2$",
          .is_directory = id % 2 == 0,
          .status = static_cast<WarmupTask::Status>(id % 4),
          .completed_bytes = id << 40,
          .total_bytes = UINT64_MAX - id,
          .completed_object_count = id + 2,
          .total_object_count = id + 3,
          .submitted_unix_micros = 1765274023424073 + static_cast<int64_t>(id),
          .ended_unix_micros = 1765274023424079,
          .error_code = 28,
          .error_message = "no room for \xf0\x9f\x90\x9f"s};
}

bool Same(const WarmupTask& a, const WarmupTask& b) {
  const auto all = [](const WarmupTask& t) {
    return std::tie(t.id, t.path, t.pattern, t.is_directory, t.status, t.completed_bytes,
                    t.total_bytes, t.completed_object_count, t.total_object_count,
                    t.submitted_unix_micros, t.ended_unix_micros, t.error_code, t.error_message);
  };
  return all(a) == all(b);
}

class WarmupStoreTest : public ::testing::Test {
 protected:
  std::string File() const { return directory_.path() / "tasks.db"; }
  // What another process would find.
  std::vector<WarmupTask> Found() const {
    WarmupStore store(File());
    auto tasks = store.Load();
    EXPECT_TRUE(tasks) << tasks.error().detail;
    return tasks.value_or(std::vector<WarmupTask>());
  }
  TemporaryDirectory directory_;
};

TEST_F(WarmupStoreTest, WhatWasSavedIsThereForTheNext) {
  {
    WarmupStore store(File());
    EXPECT_TRUE(store.Load()->empty());
    ASSERT_TRUE(store.Save(std::vector{Task(1), Task(2), Task(3)}, {}));
    WarmupTask changed = Task(2);
    changed.status = WarmupTask::Status::kFailed;
    changed.error_message = "";
    ASSERT_TRUE(store.Save(std::vector{changed, Task(7)}, std::vector<uint64_t>{3, 99}));
  }
  const auto found = Found();
  ASSERT_EQ(found.size(), 3);
  EXPECT_TRUE(Same(found[0], Task(1)));
  EXPECT_EQ(found[1].status, WarmupTask::Status::kFailed);
  EXPECT_EQ(found[1].error_message, "");
  EXPECT_TRUE(Same(found[2], Task(7)));
  struct stat status {};
  ASSERT_EQ(stat(File().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
}

TEST_F(WarmupStoreTest, WhatWasSavedIsThereAlthoughTheProcessNeverClosedTheFile) {
  WarmupStore store(File());
  ASSERT_TRUE(store.Save(std::vector{Task(1)}, {}));
  const fs::path copy = directory_.path() / "copy";
  fs::create_directory(copy);
  for (const auto& entry : fs::directory_iterator(directory_.path()))
    if (entry.is_regular_file()) fs::copy(entry.path(), copy / entry.path().filename());
  WarmupStore next(copy / "tasks.db");
  const auto found = next.Load();
  ASSERT_EQ(found->size(), 1);
  EXPECT_TRUE(Same(found->front(), Task(1)));
}

TEST_F(WarmupStoreTest, AFileThatIsNoneIsPutAsideAndANewOneBegun) {
  std::ofstream(File()) << std::string(10'000, 'x');
  WarmupStore store(File());
  EXPECT_TRUE(store.Load()->empty());
  EXPECT_EQ(fs::file_size(File() + ".damaged"), 10'000);
  ASSERT_TRUE(store.Save(std::vector{Task(1)}, {}));
  { const WarmupStore closed = std::move(store); }
  EXPECT_EQ(Found().size(), 1);
}

TEST_F(WarmupStoreTest, WhereverBytesChangeItIsReadOrPutAsideAndWorksOn) {
  std::vector<WarmupTask> tasks;
  for (uint64_t id = 1; id <= 200; ++id) tasks.push_back(Task(id));
  { ASSERT_TRUE(WarmupStore(File()).Save(tasks, {})); }
  const fs::path sound = directory_.path() / "sound";
  fs::rename(File(), sound);
  std::mt19937_64 random(3);
  int put_aside_count = 0;
  for (int round = 0; round < 60; ++round) {
    fs::copy_file(sound, File(), fs::copy_options::overwrite_existing);
    {
      std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
      for (int i = 0; i < 40; ++i) {
        file.seekp(static_cast<std::streamoff>(random() % fs::file_size(sound)));
        file.put(static_cast<char>(random()));
      }
    }
    if (round % 3 == 0) fs::resize_file(File(), random() % fs::file_size(sound));
    {
      WarmupStore store(File());
      ASSERT_TRUE(store.Load());
      Result<> saved = store.Save(std::vector{Task(777)}, {});
      if (!saved) saved = store.Save(std::vector{Task(777)}, {});
      ASSERT_TRUE(saved) << saved.error().detail;
    }
    const auto found = Found();
    ASSERT_TRUE(std::ranges::any_of(found, [](const auto& task) { return task.id == 777; }));
    put_aside_count += fs::remove(File() + ".damaged") ? 1 : 0;
    fs::remove(File());
  }
  EXPECT_GT(put_aside_count, 10);
}

TEST_F(WarmupStoreTest, OfALaterVersionItIsPutAside) {
  { ASSERT_TRUE(WarmupStore(File()).Save(std::vector{Task(1)}, {})); }
  {
    std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(63);  // the last byte of user_version, as SQLite's file format says
    file.put(9);
  }
  EXPECT_TRUE(Found().empty());
  EXPECT_TRUE(fs::exists(File() + ".damaged"));
}

TEST_F(WarmupStoreTest, ADirectoryThatIsNotThereIsMadeForItsOwnerAlone) {
  const fs::path later = directory_.path() / "later";
  ASSERT_TRUE(WarmupStore(later / "tasks.db").Save(std::vector{Task(1)}, {}));
  EXPECT_EQ(fs::status(later).permissions(), fs::perms::owner_all);
}

TEST_F(WarmupStoreTest, ADirectoryMayBeALinkAndTheFileMayNot) {
  fs::create_directory(directory_.path() / "elsewhere");
  fs::create_directory_symlink(directory_.path() / "elsewhere", directory_.path() / "link");
  const std::string file = directory_.path() / "link" / "tasks.db";
  {
    WarmupStore store(file);
    ASSERT_TRUE(store.Load());
    ASSERT_TRUE(store.Save(std::vector{Task(1)}, {}));
  }
  EXPECT_TRUE(fs::exists(directory_.path() / "elsewhere/tasks.db"));
  fs::create_symlink(directory_.path() / "elsewhere/tasks.db", File());
  EXPECT_FALSE(WarmupStore(File()).Save(std::vector{Task(1)}, {}));
}

TEST_F(WarmupStoreTest, ADirectoryThatCannotBeMadeIsAnErrorUntilItCan) {
  const fs::path later = directory_.path() / "later";
  std::ofstream(later) << "a file";
  WarmupStore store(later / "tasks.db");
  EXPECT_EQ(store.Load().error().code, Errc::kUnreachable);
  EXPECT_EQ(store.Save(std::vector{Task(1)}, {}).error().code, Errc::kUnreachable);
  fs::remove(later);
  EXPECT_TRUE(store.Save(std::vector{Task(1)}, {}));
}

TEST_F(WarmupStoreTest, IsOneProcessesAtATimeAndWaitsForNobodyForLong) {
  WarmupStore first(File());
  ASSERT_TRUE(first.Save(std::vector{Task(1)}, {}));
  WarmupStore second(File());
  EXPECT_EQ(second.Load().error().code, Errc::kUnreachable);
  EXPECT_TRUE(first.Save(std::vector{Task(2)}, {}));
  EXPECT_FALSE(fs::exists(File() + ".damaged"));
}

}  // namespace
}  // namespace shoal
