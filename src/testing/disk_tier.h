// What tests of a tier of cache directories share: each directory has StorageTrouble of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/open_cache_directory.h"
#include "cache/tier.h"
#include "testing/adjustable_clock.h"
#include "testing/collecting_sink.h"
#include "testing/memory_range_source.h"
#include "testing/temporary_directory.h"
#include "testing/troubled_storage.h"
#include "testing/write_out.h"

namespace shoal {

namespace fs = std::filesystem;

using Data = std::vector<std::byte>;

inline ObjectVersion Object(uint64_t size_bytes, std::string key = "key",
                            std::string etag = "\"1\"") {
  return {std::move(key), std::move(etag), size_bytes};
}

inline Data Expected(const ObjectVersion& object, ByteRange range) {
  Data data(range.length);
  MemoryRangeSource::Generate(object, range.offset, data);
  return data;
}

class DiskTierTest : public ::testing::Test {
 protected:
  // A tier of disk directories, each with StorageTrouble of its own.
  void Mount(uint64_t capacity_bytes = 64 * kMiB, size_t directory_count = 1,
             uint32_t page_bytes = 16 * kKiB) {
    Unmount();
    WriteOut(outside_.path());
    std::vector<std::unique_ptr<CacheVolume>> volumes;
    troubles_.clear();
    for (size_t i = 0; i < directory_count; ++i) {
      const fs::path path = outside_.path() / std::to_string(i);
      fs::create_directories(path);
      auto storage = OpenCacheDirectory(path, {.shelved_below_bytes = shelved_below_bytes_});
      ASSERT_TRUE(storage) << storage.error().detail;
      troubles_.push_back(std::make_shared<StorageTrouble>());
      if (make_trouble_) make_trouble_(*troubles_.back());
      volumes.push_back(std::make_unique<CacheVolume>(
          VolumeOptions{.capacity_bytes = capacity_bytes,
                        .page_bytes = page_bytes,
                        .free_bytes_min = 0,
                        .index_bytes_max = index_bytes_max_},
          std::make_unique<TroubledStorage>(*std::move(storage), troubles_.back()), clock_));
      volumes.back()->WaitUntilScanned();
    }
    tier_ =
        std::make_unique<Tier>(TierOptions{.bucket_identity = bucket_, .page_bytes = page_bytes},
                               std::move(volumes), origin_);
  }
  void Unmount() { tier_.reset(); }
  CacheVolume& Volume(size_t index = 0) { return *tier_->volumes()[index]; }
  StorageTrouble& Trouble(size_t index = 0) { return *troubles_[index]; }
  void WaitUntilWritten() {
    for (const auto& volume : tier_->volumes()) volume->WaitUntilWritten();
  }

  static ::testing::AssertionResult Reads(ObjectBytes& bytes, const ObjectVersion& object,
                                          ByteRange range) {
    CollectingSink sink;
    const auto read = bytes.Read({.range = range, .deadline = {}}, sink);
    if (!read) return ::testing::AssertionFailure() << read.error().detail;
    if (sink.data != Expected(object, range))
      return ::testing::AssertionFailure() << "wrong bytes at " << range.offset;
    return ::testing::AssertionSuccess();
  }
  ::testing::AssertionResult Reads(const ObjectVersion& object, ByteRange range) {
    return Reads(*tier_->Open(object), object, range);
  }
  void Keep(const ObjectVersion& object) {
    ASSERT_TRUE(Reads(object, {0, object.size_bytes}));
    WaitUntilWritten();
  }
  // Files of the cache with this suffix, in all directories.
  std::vector<fs::path> Files(const std::string& suffix) const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(outside_.path()))
      if (entry.path().extension() == suffix &&
          entry.path().parent_path().filename() != "quarantine")
        files.push_back(entry.path());
    return files;
  }
  // As du(1) counts.
  uint64_t UsedOnDisk(size_t index = 0) const {
    uint64_t bytes = 0;
    const auto add = [&](const fs::path& path) {
      struct stat file {};
      if (lstat(path.c_str(), &file) == 0) bytes += static_cast<uint64_t>(file.st_blocks) * 512;
    };
    for (const auto& entry :
         fs::recursive_directory_iterator(outside_.path() / std::to_string(index)))
      add(entry.path());
    return bytes;
  }
  static void FlipByte(const fs::path& path, uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const char byte = static_cast<char>(file.get());
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(~byte));
  }

  uint64_t shelved_below_bytes_ = CacheDirectoryOptions{}.shelved_below_bytes;
  uint64_t index_bytes_max_ = ~uint64_t{0};
  TemporaryDirectory outside_;
  AdjustableClock clock_;
  MemoryRangeSource origin_;
  std::string bucket_ = "http://host bucket";
  std::vector<std::shared_ptr<StorageTrouble>> troubles_;
  // What is wrong from the start, before the upkeep looks at anything.
  std::function<void(StorageTrouble&)> make_trouble_;
  std::unique_ptr<Tier> tier_;
};

}  // namespace shoal
