#include "fs/bucket_usage.h"

#include "base/log.h"

namespace shoal {
namespace {

constexpr Duration kRefreshEvery = std::chrono::seconds(60);

// A bucket has no size of its own; programs that check for space want a finite one.
constexpr uint64_t kNominalBytes = uint64_t{1} << 50;  // 1 PiB
constexpr uint64_t kNominalObjectCount = uint64_t{1} << 40;

}  // namespace

BucketUsageCache::BucketUsageCache(ObjectStore& store, const Clock& clock, Duration wait_max)
    : store_(store), clock_(clock), wait_max_(wait_max) {}

Usage BucketUsageCache::Get() const {
  const MutexLock lock(mutex_);
  return {.total_bytes = std::max(kNominalBytes, usage_.stored_bytes),
          .used_bytes = usage_.stored_bytes,
          .object_count_max = std::max(kNominalObjectCount, usage_.object_count),
          .object_count = usage_.object_count};
}

bool BucketUsageCache::ClaimRefresh() {
  const MutexLock lock(mutex_);
  if (refreshing_ || clock_.Now() < next_refresh_) return false;
  refreshing_ = true;
  return true;
}

void BucketUsageCache::Refresh() {
  const Result<BucketUsage> usage = store_.Usage(Deadline::After(clock_, wait_max_));
  const MutexLock lock(mutex_);
  refreshing_ = false;
  next_refresh_ = clock_.Now() + kRefreshEvery;
  if (usage) {
    usage_ = *usage;
  } else if (usage.error().code != Errc::kUnsupported && !failure_reported_) {
    failure_reported_ = true;
    log::Warn("df will not show the bucket's use: {}", usage.error().detail);
  }
}

}  // namespace shoal
