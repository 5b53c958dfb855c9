// What tests of the warm-up service share: a bucket that can hold its Gets and fail them, and a
// service over a disk cache that can be in trouble.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/open_cache_directory.h"
#include "control/warmup_service.h"
#include "read/origin_source.h"
#include "testing/adjustable_clock.h"
#include "testing/memory_object_store.h"
#include "testing/string_sink.h"
#include "testing/temporary_directory.h"
#include "testing/troubled_storage.h"

namespace shoal {

inline std::string Bytes(size_t count, char first = 'a') {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<char>(static_cast<size_t>(first) + i * i % 101 + i / 4099);
  return bytes;
}

// A bucket whose Gets can be held, and made to fail by key.
class Bucket final : public ObjectStore {
 public:
  MemoryObjectStore& memory() { return memory_; }

  void Hold() {
    const std::scoped_lock lock(mutex_);
    held_ = true;
  }
  void Release() {
    const std::scoped_lock lock(mutex_);
    held_ = false;
    hold_after_bytes_.reset();
    changed_.notify_all();
  }
  void WaitForHeld(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_count_ >= count; });
  }
  // Those after the next `count`, of prefixes that begin with this; false: none.
  void HoldLists(bool held, size_t count = 0, const std::string& prefix = "") {
    const std::scoped_lock lock(mutex_);
    held_lists_prefix_ = prefix;
    lists_are_held_ = held;
    lists_before_held_ = count;
    changed_.notify_all();
  }
  // The next `count` Gets of the key.
  void FailGets(const std::string& key, Error error, int count) {
    const std::scoped_lock lock(mutex_);
    failures_[key] = {std::move(error), count};
  }
  // Each Get waits for Release when it has sent so many bytes.
  void HoldAfter(uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    hold_after_bytes_ = bytes;
  }
  // Before the next Get of the key.
  void Before(const std::string& key, std::function<void()> action) {
    const std::scoped_lock lock(mutex_);
    before_[key] = std::move(action);
  }
  std::map<std::string, int> gets() {
    const std::scoped_lock lock(mutex_);
    return gets_;
  }
  void ResetGets() {
    const std::scoped_lock lock(mutex_);
    gets_.clear();
  }

  Result<ObjectInfo> Head(std::string_view key, Deadline deadline) override {
    return memory_.Head(key, deadline);
  }
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override {
    {
      std::unique_lock lock(mutex_);
      const auto is_of_them = [&] { return query.prefix.starts_with(held_lists_prefix_); };
      changed_.wait(lock,
                    [&] { return !lists_are_held_ || lists_before_held_ > 0 || !is_of_them(); });
      if (lists_before_held_ > 0 && is_of_them()) --lists_before_held_;
    }
    return memory_.List(query, deadline);
  }
  Result<BucketUsage> Usage(Deadline deadline) override { return memory_.Usage(deadline); }
  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline deadline) override {
    std::function<void()> before;
    {
      std::unique_lock lock(mutex_);
      ++gets_[version.key];
      ++waiting_count_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !held_; });
      --waiting_count_;
      std::swap(before, before_[version.key]);
      if (auto& [error, count] = failures_[version.key]; count > 0) {
        --count;
        return tl::unexpected(error);
      }
    }
    if (before) before();
    const uint64_t first_bytes = std::min(hold_after_bytes(), range.length);
    RETURN_IF_ERROR(memory_.Get(version, {range.offset, first_bytes}, sink, deadline));
    if (first_bytes == range.length) return {};
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !hold_after_bytes_; });
    }
    return memory_.Get(version, {range.offset + first_bytes, range.length - first_bytes}, sink,
                       deadline);
  }

 private:
  uint64_t hold_after_bytes() {
    const std::scoped_lock lock(mutex_);
    return hold_after_bytes_.value_or(std::numeric_limits<uint64_t>::max());
  }

  MemoryObjectStore memory_;
  std::mutex mutex_;
  std::optional<uint64_t> hold_after_bytes_;
  std::condition_variable changed_;
  bool held_ = false;
  bool lists_are_held_ = false;
  size_t lists_before_held_ = 0;
  std::string held_lists_prefix_;
  size_t waiting_count_ = 0;
  std::map<std::string, std::pair<Error, int>> failures_;
  std::map<std::string, std::function<void()>> before_;
  std::map<std::string, int> gets_;
};

class WarmupServiceFixture : public ::testing::Test {
 protected:
  using Status = WarmupTask::Status;

  WarmupServiceFixture() {
    options_.connection_count_max = 8;
    options_.state_file = directory_.path() / "tasks.db";
    options_.retry_pause_milliseconds = 1;
  }
  void TearDown() override {
    bucket_.Release();
    bucket_.HoldLists(false);
  }

  void Start(uint64_t capacity_bytes = 64 * kMiB, size_t directory_count = 1) {
    Stop();
    std::vector<std::unique_ptr<CacheVolume>> volumes;
    for (size_t i = 0; i < directory_count; ++i) {
      const auto path = directory_.path() / ("cache" + std::to_string(i));
      std::filesystem::create_directories(path);
      auto storage = OpenCacheDirectory(path, {});
      ASSERT_TRUE(storage) << storage.error().detail;
      trouble_ = std::make_shared<StorageTrouble>();
      volumes.push_back(std::make_unique<CacheVolume>(
          VolumeOptions{.capacity_bytes = capacity_bytes,
                        .free_bytes_min = 0,
                        .index_bytes_max = index_bytes_max_},
          std::make_unique<TroubledStorage>(*std::move(storage), trouble_), clock_));
      volumes.back()->WaitUntilScanned();
    }
    tier_ = std::make_unique<Tier>(TierOptions{.bucket_identity = "bucket"}, std::move(volumes),
                                   origin_);
    StartTasks();
  }
  void StartTasks() {
    tasks_.reset();
    auto tasks = StartWarmup(options_, bucket_, tier_.get(), demand_, clock_);
    ASSERT_TRUE(tasks) << tasks.error().detail;
    (*tasks)->Begin();
    tasks_ = *std::move(tasks);
  }
  void Stop() {
    tasks_.reset();
    tier_.reset();
  }

  void Put(const std::string& key, size_t size_bytes, char first = 'a') {
    bodies_[key] = Bytes(size_bytes, first);
    bucket_.memory().Put(key, bodies_[key]);
  }

  WarmupTask Newest(const std::string& path) {
    const auto tasks = tasks_->Find(path, std::nullopt, 0);
    EXPECT_FALSE(tasks.empty()) << path;
    return tasks.empty() ? WarmupTask() : tasks.front();
  }
  WarmupTask WaitForEnd(const std::string& path) {
    while (Newest(path).status == Status::kRunning) std::this_thread::yield();
    return Newest(path);
  }
  WarmupTask Run(const std::string& path, const std::string& pattern = "") {
    const auto task = tasks_->Load(path, pattern);
    EXPECT_TRUE(task) << task.error().detail;
    return WaitForEnd(path);
  }
  // Reads them, compares every byte, and expects that the origin is asked for none.
  void ExpectCached(const std::vector<std::string>& keys) {
    bucket_.ResetGets();
    for (const std::string& key : keys) {
      const ObjectVersion version = bucket_.memory().Head(key, {})->version;
      StringSink sink;
      if (version.size_bytes > 0) {
        const auto read =
            tier_->Open(version)->Read({.range = {0, version.size_bytes}, .deadline = {}}, sink);
        ASSERT_TRUE(read) << key << ": " << read.error().detail;
      }
      EXPECT_TRUE(sink.text == bodies_[key]) << key;
    }
    EXPECT_THAT(bucket_.gets(), ::testing::IsEmpty());
  }

  static void ExpectAllCompleted(const WarmupTask& task, uint64_t object_count,
                                 uint64_t total_bytes) {
    EXPECT_EQ(StatusName(task.status), "completed") << task.error_message;
    EXPECT_EQ(task.total_object_count, object_count);
    EXPECT_EQ(task.completed_object_count, object_count);
    EXPECT_EQ(task.total_bytes, total_bytes);
    EXPECT_EQ(task.completed_bytes, total_bytes);
    EXPECT_EQ(task.error_code, 0);
    EXPECT_EQ(task.error_message, "");
  }

  TemporaryDirectory directory_;
  AdjustableClock clock_;
  DemandGauge demand_{clock_};
  Bucket bucket_;
  OriginSource origin_{bucket_, bucket_, &demand_};
  std::map<std::string, std::string> bodies_;
  WarmupOptions options_;
  uint64_t index_bytes_max_ = ~uint64_t{0};  // for Start
  std::shared_ptr<StorageTrouble> trouble_;  // of the last directory
  std::unique_ptr<Tier> tier_;
  std::unique_ptr<WarmupTasks> tasks_;
};

}  // namespace shoal
