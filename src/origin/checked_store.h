// CheckedStore: bytes of an object are given to nobody before they were compared with the checksum
// that the store tells, where they are few, come whole, and soon. What differs is asked for again.
// Of use for OSS alone: S3 tells none.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <span>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "origin/object_store.h"

namespace shoal {

// Thread-safe.
class CheckedStore final : public ObjectStore {
 public:
  // Larger objects are passed on as they come, for who reads the beginning does not wait for the
  // end; and so is what has not come whole so long after its first byte.
  static constexpr uint64_t kHeldBytesMax = 1 * kMiB;
  // And of those that the sink has no room for in one piece.
  static constexpr uint64_t kOwnBytesMax = 256 * kKiB;
  static constexpr Duration kHeldTimeMax = std::chrono::seconds(1);
  static constexpr int kAttemptsMax = 3;
  // So long after a version differed all of it is fetched for any part, unless it came right: the
  // kernel asks page by page for what failed, and parts cannot be compared.
  static constexpr Duration kDoubtedFor = std::chrono::minutes(1);
  static constexpr size_t kDoubtedCountMax = 64;

  // `clock` outlives the store.
  CheckedStore(std::unique_ptr<ObjectStore> next, const Clock& clock)
      : next_(std::move(next)), clock_(clock) {}

  Result<ObjectInfo> Head(std::string_view key, Deadline deadline) override {
    return next_->Head(key, deadline);
  }
  // Compares where all of the object is asked for, and the store tells its checksum. kUnusable: it
  // differs each time. What came of an object that did not come whole is passed on before the call
  // fails, not compared, unless it is doubted.
  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline deadline) override;
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override {
    return next_->List(query, deadline);
  }
  Result<BucketUsage> Usage(Deadline deadline) override { return next_->Usage(deadline); }
  void SetConnectionCountMax(size_t count_max) override { next_->SetConnectionCountMax(count_max); }

 private:
  struct Doubted {
    ObjectVersion version;
    Instant until;
  };

  // `room`: as large as the object.
  Result<GetAnswer> GetWhole(const ObjectVersion& version, std::span<std::byte> room,
                             ByteSink& sink, Deadline deadline, bool is_doubted);
  void Doubt(const ObjectVersion& version) EXCLUDES(mutex_);
  void Trust(const ObjectVersion& version) EXCLUDES(mutex_);
  [[nodiscard]] bool IsDoubted(const ObjectVersion& version) EXCLUDES(mutex_);

  const std::unique_ptr<ObjectStore> next_;
  const Clock& clock_;
  Mutex mutex_;
  std::deque<Doubted> doubted_ GUARDED_BY(mutex_);  // the oldest first
  std::atomic<bool> doubts_any_ = false;
};

}  // namespace shoal
