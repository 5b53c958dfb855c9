// One object version in one volume: which of its pages are there, and its files while
// anybody uses it.
//
// Pages are only ever added. An object that is evicted or put aside is *gone*: its volume
// gives no new use of it, and who still has it may go on reading, because its files are
// unlinked and never written over.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/mutex.h"
#include "cache/cache_storage.h"
#include "cache/chunk_pool.h"
#include "cache/flight_table.h"
#include "cache/object_meta.h"
#include "cache/page_set.h"

namespace shoal {

// Whole pages on their way to the medium. Immutable.
struct CacheChunk {
  uint64_t offset = 0;  // of the object; a multiple of the page size
  size_t size_bytes = 0;
  ChunkPool::Memory bytes;

  [[nodiscard]] std::span<const std::byte> span() const { return {bytes.get(), size_bytes}; }
};

class CachedObject {
 public:
  enum class State : uint8_t {
    kUnknown,  // nobody has looked yet
    kAbsent,   // no files
    kHere,
    kGone,
  };

  // `clock` outlives it.
  CachedObject(const ObjectDigest& name_, std::string identity_, uint64_t size_bytes_,
               uint32_t page_bytes_, const Clock& clock)
      : name(name_),
        identity(std::move(identity_)),
        size_bytes(size_bytes_),
        page_bytes(page_bytes_),
        page_count(PageCount(size_bytes_, page_bytes_)),
        present(page_count),
        checked(page_count),
        flights(size_bytes_, page_bytes_, clock) {}

  // Of the object; its last page is cut at its end.
  [[nodiscard]] ByteRange RangeOfPages(uint64_t first, uint64_t end) const {
    const uint64_t offset = first * page_bytes;
    return {offset, std::min(end * page_bytes, size_bytes) - offset};
  }
  [[nodiscard]] uint64_t FirstPageOf(ByteRange range) const { return range.offset / page_bytes; }
  [[nodiscard]] uint64_t EndPageOf(ByteRange range) const {
    return (range.end() + page_bytes - 1) / page_bytes;
  }

  // Null unless the files are open. Valid while the object lives.
  [[nodiscard]] StoredObject* stored() const { return stored_.load(std::memory_order_acquire); }
  [[nodiscard]] State state() const { return state_.load(std::memory_order_acquire); }
  [[nodiscard]] bool complete() const { return present.full(); }

  // Once, by whoever loads or makes the files; who then says that it is here.
  void SetStored(std::unique_ptr<StoredObject> stored) {
    owned_ = std::move(stored);
    stored_.store(owned_.get(), std::memory_order_release);
  }
  void SetState(State state) { state_.store(state, std::memory_order_release); }
  // False: it is gone meanwhile, and stays so.
  bool BecomeHere(State from) { return state_.compare_exchange_strong(from, State::kHere); }

  // Chunks that are not written yet; readers find their bytes there. Of two that overlap one
  // may be missed, which costs a fetch.
  void AddPending(std::shared_ptr<const CacheChunk> chunk) EXCLUDES(mutex_);
  void DropPending(const CacheChunk& chunk) EXCLUDES(mutex_);
  [[nodiscard]] bool has_pending() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return !pending_.empty();
  }
  // True: `out` was filled. False: not all of it is in one chunk.
  bool ReadPending(uint64_t offset, std::span<std::byte> out) const EXCLUDES(mutex_);
  // The end of the chunk that has the byte at `offset`, or else where the next one begins.
  struct PendingRun {
    bool pending;
    uint64_t end;  // the object's size, if no more come
  };
  [[nodiscard]] PendingRun PendingFrom(uint64_t offset) const EXCLUDES(mutex_);

  const ObjectDigest name;
  const std::string identity;
  const uint64_t size_bytes;
  const uint32_t page_bytes;
  const uint64_t page_count;

  // Their own synchronization.
  PageSet present;      // with a checksum
  PageSet checked;      // of those, written by this process or compared with their checksum
  FlightTable flights;  // what is on its way here

  // The medium lost something of what it had taken, and perhaps of this, or pages of it that are
  // not this process's cannot be dropped: what is read of it is compared each time.
  std::atomic<bool> distrusted{false};
  // Pages that an earlier process left in memory are not dropped yet: that they compare says
  // nothing of the medium, so they are compared each time.
  std::atomic<bool> has_old_pages{false};
  // The volume's sync that was the last to begin before it was written, or loaded.
  std::atomic<uint64_t> written_in_sync{0};

  // Held across I/O, on purpose: one thread at a time loads or writes an object's files, and
  // who reads does not take it.
  Mutex write_mutex;
  bool has_header = true;  // guarded by write_mutex; of files that were made: once it is written

  // Guarded by the volume's lock.
  uint32_t user_count = 0;
  bool to_be_checked = false;  // it is in the upkeep's queue
  uint64_t idle_since = 0;     // a place in the volume's order; of one that nobody uses

 private:
  std::atomic<State> state_{State::kUnknown};
  std::unique_ptr<StoredObject> owned_;
  std::atomic<StoredObject*> stored_{nullptr};

  mutable Mutex mutex_;
  std::map<uint64_t, std::shared_ptr<const CacheChunk>> pending_ GUARDED_BY(mutex_);  // by offset
};

}  // namespace shoal
