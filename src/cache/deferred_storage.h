// A CacheStorage that need not be there yet: its medium may be full, read-only or hang when the
// mount starts. It is opened on a thread of its own, which tries again until it succeeds; until
// then every call fails with kUnreachable, so that the volume is on probation and its trial finds
// when the medium works. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "cache/cache_storage.h"

namespace shoal {

class DeferredStorage final : public CacheStorage {
 public:
  // Makes the storage, and says what OpenCacheDirectory says. May hang; may be called again
  // after it failed. It can outlast this object, and refers to nothing that does not.
  using Opener = std::function<Result<std::unique_ptr<CacheStorage>>()>;

  // `name`: as the storage's own, which is not known before it is there. Begins to open it. `clock`
  // outlives this.
  DeferredStorage(std::string name, Opener open, const Clock& clock);
  // Does not wait for an opener that hangs.
  ~DeferredStorage() override;

  // How long it is worth waiting for, since the beginning.
  struct Patience {
    Duration for_medium = std::chrono::seconds(1);          // that does not answer
    Duration for_process_before = std::chrono::seconds(1);  // that ends, but has not yet
    Duration for_other_mount = std::chrono::seconds(5);     // perhaps it is just being unmounted
  };
  // Until it is open, or is left to be opened later. The error: why that is not to be expected
  // (kInvalid, kDenied, kBusy); it is tried all the same.
  Result<> Await(const Patience& patience);

  Result<std::unique_ptr<StoredObject>> Open(const ObjectDigest& name) override;
  Result<std::unique_ptr<StoredObject>> Create(const ObjectDigest& name,
                                               uint64_t size_bytes) override;
  Result<> Remove(const ObjectDigest& name) override;
  bool IsMapped(const ObjectDigest& name) override;
  Result<> Quarantine(const ObjectDigest& name) override;
  Result<> Scan(const std::function<bool(const Found&)>& visit) override;
  Result<> ScanAndClean(const std::function<bool(const Found&)>& visit) override;
  Result<> MarkUsed(const ObjectDigest& name) override;
  Result<> SyncAll() override;
  Result<Room> GetRoom() override;
  [[nodiscard]] uint64_t own_block_count() override;
  [[nodiscard]] size_t index_count() const override;
  uint64_t BlocksToPutInOrder(size_t index) override;
  Result<> PutInOrder(size_t index, uint64_t block_count_max) override;
  // Of one that is not open yet it is the size that it will have.
  Result<> Resize(uint64_t capacity_bytes) override;
  [[nodiscard]] size_t memory_bytes() override;
  [[nodiscard]] const std::string& name() const override { return name_; }

 private:
  class Opening;

  // The error: why there is none yet.
  Result<CacheStorage*> Opened() const;

  const std::string name_;
  const Clock& clock_;
  const Instant begun_at_;
  const std::shared_ptr<Opening> opening_;  // shared with its thread
};

}  // namespace shoal
