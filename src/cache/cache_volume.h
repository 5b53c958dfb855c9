// One medium of a tier: a directory, or memory, with a capacity. Keeps pages of objects,
// says what is there, and makes room.
//
//   - What it holds never takes more than its capacity, counted in blocks of the medium,
//     directories included; nor does it take the last of the medium's free room. Of objects so
//     small that to know them takes too much memory, it holds fewer.
//   - Bytes are given out only if this process wrote them or has compared them with their
//     checksum. What does not compare is put aside, and is a miss.
//   - No caller waits for a medium that hangs, is full or fails: reads give up in time, and
//     what cannot be kept is dropped.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metric.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "cache/cache_index.h"
#include "cache/cache_storage.h"
#include "cache/cached_object.h"
#include "cache/range_source.h"
#include "cache/volume_health.h"
#include "cache/whole_file.h"

namespace shoal {

struct VolumeOptions {
  uint64_t capacity_bytes = 0;
  uint32_t page_bytes = 16 * kKiB;
  // Free room of the medium that is left to others: the smaller of this and a twentieth.
  uint64_t free_bytes_min = 1024 * kMiB;
  // A whole file is given out for objects of this size and more.
  uint64_t whole_bytes_min = 0;
  // Memory for what is known of its objects, as many as there may be; at the least a thousandth
  // of its capacity.
  uint64_t index_bytes_max = ~uint64_t{0};
  // What waits for a medium that is slow; beyond, it is dropped.
  uint64_t queued_bytes_max = 64 * kMiB;
  // Whether the medium may make its caller wait. Memory does not: it is read and written on
  // the calling thread.
  bool may_wait = true;
};

struct VolumeMetrics {
  Counter filled_bytes{"shoal_cache_filled_bytes_total", "Bytes written to the cache"};
  Counter dropped_bytes{"shoal_cache_dropped_bytes_total",
                        "Bytes not kept, for want of room or because the medium was behind"};
  Counter evicted_bytes{"shoal_cache_evicted_bytes_total", "Bytes that gave way to others"};
  Counter put_aside{"shoal_cache_put_aside_objects_total", "Objects found damaged, and put aside"};
  Counter stalled_reads{"shoal_cache_stalled_reads_total",
                        "Reads that went elsewhere because the medium did not answer in time"};
};

class CacheVolume {
 public:
  // Objects nobody uses whose files, two each, stay open, because they are often used again.
  static constexpr size_t kIdleObjectsMax = 1024;

  // Says that somebody uses an object: it is not evicted meanwhile, and its files stay open.
  class Use {
   public:
    Use() = default;
    Use(CacheVolume& volume, std::shared_ptr<CachedObject> object)
        : volume_(&volume), object_(std::move(object)) {}
    ~Use() {
      if (object_) volume_->EndUse(std::move(object_));
    }
    Use(Use&&) = default;
    Use& operator=(Use&& other) noexcept {
      std::swap(volume_, other.volume_);
      std::swap(object_, other.object_);
      return *this;
    }
    CachedObject& operator*() const { return *object_; }
    CachedObject* operator->() const { return object_.get(); }
    [[nodiscard]] const std::shared_ptr<CachedObject>& object() const { return object_; }

   private:
    CacheVolume* volume_ = nullptr;  // outlives every use
    std::shared_ptr<CachedObject> object_;
  };

  // Starts a thread that looks at what is there; nothing is written before it has.
  CacheVolume(const VolumeOptions& options, std::unique_ptr<CacheStorage> storage,
              const Clock& clock);
  // Writes what waits to be written. Every use has ended.
  ~CacheVolume();
  CacheVolume(const CacheVolume&) = delete;
  CacheVolume& operator=(const CacheVolume&) = delete;

  // Does no I/O. Counts as a use of what is here.
  Use Open(const ObjectDigest& name, const std::string& identity, uint64_t size_bytes);

  // Finds out whether and which pages of it are here. False: not known in time.
  bool Load(const Use& use, Deadline deadline);

  // Bytes of pages that are present, and checked. Null: damaged, or not in time; then they
  // are to be had elsewhere.
  std::shared_ptr<const CacheChunk> Read(const Use& use, ByteRange range, Deadline deadline);
  // The same without waiting. Also finds what waits to be written.
  bool ReadNow(CachedObject& object, uint64_t offset, std::span<std::byte> out);

  // Keeps the chunk's pages, now or later, or drops them.
  void Fill(const Use& use, CacheChunk chunk);
  // The same for bytes that no reader waits for: waits for the queue until the deadline, and
  // leaves half of it to readers. False: dropped.
  bool FillPatiently(const Use& use, CacheChunk chunk, Deadline deadline);
  // Until what was given to be kept of the object is written, or was dropped. False: not in
  // time.
  bool WaitUntilSettled(const Use& use, Deadline deadline);

  struct Presence {
    uint64_t bytes = 0;  // written, with their checksums
    bool whole = false;
  };
  // What is here of an object; nothing if that is not known by the deadline. Is no use of it.
  Presence Look(const ObjectDigest& name, const std::string& identity, uint64_t size_bytes,
                Deadline deadline);
  // Somebody asked for the object to be here: others are evicted before it.
  void Favour(const ObjectDigest& name);

  // What an object takes when it is whole.
  static uint64_t BytesToKeep(uint64_t size_bytes, uint32_t page_bytes);
  // How much it can hold now: its capacity, or less if others fill the medium. Its capacity
  // if the medium does not say by the deadline.
  uint64_t RoomBytes(Deadline deadline);

  // As ObjectBytes has them. One that is complete and not checked yet is checked, at once if
  // it is small, else in the background.
  std::shared_ptr<const WholeFile> Whole(const Use& use, Deadline deadline);
  std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown(const Use& use);

  // For chunks to fill.
  [[nodiscard]] ChunkPool& pool() { return pool_; }
  [[nodiscard]] bool usable() const { return health_.usable(); }
  [[nodiscard]] std::string why_not_usable() const { return health_.reason(); }
  [[nodiscard]] uint64_t capacity_bytes() const { return capacity_bytes_; }
  // From now on. Of a smaller one, what is too much goes in the background; objects in use
  // when they are let go of. The errors are the medium's, and then nothing has changed.
  Result<> SetCapacity(uint64_t capacity_bytes);
  // As VolumeOptions has it, from now on.
  void SetFreeBytesMin(uint64_t free_bytes_min);
  [[nodiscard]] const std::string& name() const { return storage_->name(); }
  [[nodiscard]] const VolumeMetrics& metrics() const { return metrics_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] bool is_memory() const { return !options_.may_wait; }

  struct Usage {
    uint64_t used_bytes;  // of the medium, what is being written included
    uint64_t object_count;
    uint64_t object_count_max;
    uint64_t index_bytes;  // of memory
    bool scanned;          // what was there when it began is counted
  };
  // Asks the medium nothing.
  [[nodiscard]] Usage usage();
  // For tests: until what was there is counted, until all fills are written, and until what is
  // too much for the capacity has gone.
  void WaitUntilWithinCapacity();
  void WaitUntilScanned();
  void WaitUntilWritten();

 private:
  struct Victim {
    ObjectDigest name;
    uint32_t block_count;
    bool is_verified;
    std::shared_ptr<CachedObject> object;  // null: nobody had it open
  };
  // As CacheStorage::Found, in little: there may be tens of millions.
  struct Counted {
    ObjectDigest name;
    uint32_t block_count;
    uint32_t used_unix_seconds;
  };
  class File;
  // Slow enough that nobody notices, quick enough for a terabyte in a few hours.
  static constexpr uint64_t kScrubBytesPerSecond = 64 * kMiB;
  // How large an object may be checked while its open waits.
  static constexpr uint64_t kCheckedAtOpenBytesMax = 8 * kMiB;
  // Objects counted or chosen to go while the lock is held: there may be millions, while opens
  // wait for the lock and an end for the upkeep.
  static constexpr size_t kAtOnceMax = 4096;

  void OnOtherLimit() REQUIRES(mutex_);
  Use StartUse(const ObjectDigest& name, const std::string& identity, uint64_t size_bytes,
               bool counts);
  void EndUse(std::shared_ptr<CachedObject> object);
  bool AwaitCount() EXCLUDES(mutex_);
  [[nodiscard]] bool HasRoomFor(uint64_t queued_bytes) const REQUIRES(mutex_);
  bool AwaitRoomFor(uint64_t queued_bytes) REQUIRES(mutex_);
  // What is counted so is to be enqueued.
  void CountQueued(CachedObject& object, const CacheChunk& chunk) REQUIRES(mutex_);
  void Enqueue(const Use& use, std::shared_ptr<const CacheChunk> chunk) EXCLUDES(mutex_);
  Presence PresenceOf(const CachedObject& object) const;
  void LoadNow(CachedObject& object);
  bool StaysMapped(const ObjectDigest& name);
  void BecomeAbsent(CachedObject& object);
  void NoteVerified(const CachedObject& object) REQUIRES(mutex_);
  void RemoveFromIndex(const ObjectDigest& name) REQUIRES(mutex_);
  static Result<ObjectMeta> ReadMeta(StoredObject& stored);
  void ReadTable(CachedObject& object);
  // False: `work` goes on, but nobody waits for it.
  bool RunInTime(std::function<void()> work, Deadline deadline);
  std::shared_ptr<const CacheChunk> ReadChecked(CachedObject& object, ByteRange range);
  CacheChunk MakeChunk(uint64_t offset, uint64_t size_bytes);
  bool Check(CachedObject& object, uint64_t first_page, std::span<const std::byte> bytes,
             bool from_medium);
  enum class Pace : uint8_t {
    kForReader,  // as fast as it goes
    kUpkeep,     // and does what is due between the pieces
    kScrub,      // the same, at kScrubBytesPerSecond
  };
  // False: it is not what it should be, or it was cut short.
  bool CheckAll(CachedObject& object, Pace pace);
  void PutAside(CachedObject& object, const std::string& why);

  bool MayBeReadAlone(CachedObject& object);
  std::shared_ptr<const WholeFile> GiveOut(const Use& use);

  void Write(CachedObject& object, const CacheChunk& chunk);
  Result<> WritePages(CachedObject& object, uint64_t first_page, std::span<const std::byte> bytes);
  Result<> MakeFiles(CachedObject& object);
  static Result<> WriteChecksums(CachedObject& object, uint64_t first_page,
                                 std::span<const uint64_t> checksums);
  [[nodiscard]] uint64_t ObjectCountMax() const;
  bool Reserve(uint64_t block_count, bool is_new);
  [[nodiscard]] uint64_t BlocksUsed() const REQUIRES(mutex_);
  bool IsKnown(const ObjectDigest& name) EXCLUDES(mutex_);
  bool Evict(std::vector<Victim> victims);
  // What a write asks others to give way for.
  struct Wanted {
    uint64_t block_count;
    uint64_t object_count;  // new ones
    uint64_t free_bytes;    // that the medium does not have
  };
  bool ChooseVictims(const Wanted& wanted, std::vector<Victim>& victims) REQUIRES(mutex_);
  // Nobody uses it, and it is on its way out from now on.
  Victim TakeOut(const ObjectDigest& name, uint32_t block_count, bool is_verified) REQUIRES(mutex_);
  void Settle(CachedObject& object, uint64_t reserved_block_count);
  void OnFailure(const Error& error);
  void OnBadSpot(CachedObject& object, const Error& error);

  // What is believed of bytes that were written or compared (cache_volume_trust.cc).
  bool ConfirmWritten(CachedObject& object);
  bool IsOnMedium(const CachedObject& object) const;
  bool AsksTheMedium(StoredObject& stored, bool waits) const;
  void SayLost(const Error& error);
  void Distrust();
  bool SyncIsDue() const;
  void SyncNow();

  void Maintain();
  bool Scan();
  void RemoveTooMany() EXCLUDES(mutex_);
  void SayIfTooLarge();
  bool Scrub();
  bool RoomIsDue() const REQUIRES(mutex_);
  void DoWhatIsDue();
  void PutInOrder(bool makes_room);
  bool ScrubOne(const ObjectDigest& name);
  void Try();

  ChunkPool pool_;  // first: chunks are in what follows
  const VolumeOptions options_;
  const std::unique_ptr<CacheStorage> storage_;
  const Clock& clock_;
  std::atomic<uint64_t> capacity_bytes_;
  std::atomic<uint64_t> free_bytes_min_;
  VolumeHealth health_;
  VolumeMetrics metrics_;

  Mutex mutex_;
  CondVar changed_;      // for tests, and for who waits for the count
  CondVar queue_moved_;  // for who fills
  CondVar queue_sank_;   // for who fills patiently
  CondVar work_came_;    // for the upkeep
  CondVar left_;         // for who waits for what was evicted to be gone
  CacheIndex index_ GUARDED_BY(mutex_);
  // Used now or lately; and of those the ones that are not used now, by age.
  boost::unordered_flat_map<ObjectDigest, std::shared_ptr<CachedObject>, HashOfDigest> objects_
      GUARDED_BY(mutex_);
  std::map<uint64_t, std::shared_ptr<CachedObject>> idle_ GUARDED_BY(mutex_);
  uint64_t idle_clock_ GUARDED_BY(mutex_) = 0;
  std::deque<std::shared_ptr<CachedObject>> to_check_ GUARDED_BY(mutex_);  // each once
  // What was here at the start and there is no memory to know: in no index, to be removed.
  std::deque<Counted> too_many_ GUARDED_BY(mutex_);
  bool removes_too_many_ GUARDED_BY(mutex_) = false;  // until the last of them is gone
  // Their pages say nothing of the medium any more.
  std::vector<std::shared_ptr<CachedObject>> to_drop_ GUARDED_BY(mutex_);
  // Being compared, and not evicted since.
  std::optional<ObjectDigest> scrubbed_ GUARDED_BY(mutex_);
  // For writes under way; and for those that wait until others have given way.
  uint64_t reserved_block_count_ GUARDED_BY(mutex_) = 0;
  uint64_t promised_block_count_ GUARDED_BY(mutex_) = 0;
  // Of what was evicted and is still on the medium.
  uint64_t leaving_block_count_ GUARDED_BY(mutex_) = 0;
  uint64_t queued_bytes_ GUARDED_BY(mutex_) = 0;  // waiting to be written
  size_t write_count_ GUARDED_BY(mutex_) = 0;
  bool scanned_ GUARDED_BY(mutex_) = false;
  // Its capacity, the room that it leaves, or the memory to know its objects: one changed, or what
  // there is was just counted.
  bool may_be_over_ GUARDED_BY(mutex_) = false;
  uint64_t limit_change_count_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  Instant full_until_ GUARDED_BY(mutex_){};
  std::optional<Instant> write_began_ GUARDED_BY(mutex_);  // of the one under way
  // The medium does not keep up: nobody waits for its queue.
  Instant behind_until_ GUARDED_BY(mutex_){};

  std::atomic<uint32_t> stalled_count_{0};
  std::atomic<bool> was_full_{false};  // said, and nothing was written since
  std::atomic<bool> said_many_objects_{false};
  std::atomic<bool> said_disorder_{false};

  // Syncs of the medium, by number: the last that began, the last that went well, and the last
  // to begin before something was written. What was there at the start counts as written.
  std::atomic<uint64_t> sync_begun_{1};
  std::atomic<uint64_t> sync_done_{0};
  std::atomic<uint64_t> written_in_sync_{1};
  Mutex confirm_mutex_;                   // held while one is asked for what was lost
  std::atomic<bool> lost_writes_{false};  // ever
  std::atomic<bool> met_errors_{false};   // since it last worked
  // The kernel writes out what is older than that by itself, as a rule.
  static constexpr Duration kSyncEvery = std::chrono::seconds(30);
  Instant next_sync_;  // of the upkeep alone, as what follows
  Instant next_look_at_room_{};
  Instant next_scrub_{};
  bool scrubs_again_ = false;  // what was compared before as well

  // Last: their work uses all of the above.
  std::optional<ThreadPool> readers_;
  std::optional<ThreadPool> writer_;
  std::thread maintainer_;
};

}  // namespace shoal
