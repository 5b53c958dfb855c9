// The engine behind MakeReadEngine.
//
// One lock guards segments, streams, memory and reads that wait; it is held for
// microseconds, never across a fetch, a copy or a callback. One lock rather than one for
// each object because memory is shared by all: evicting another object's segment and letting
// the next read in line go on are then plain steps, with no order of locks to get wrong.
//
// A read holds the segments it needs and waits for as many of them as are not filled far
// enough. The thread that fills the last one answers it. Where memory is short a read
// waits in line *holding nothing*: what holds memory is only what is being fetched or
// handed over, both of which end, so the line always moves.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/recent_failures.h"
#include "read/fetch.h"
#include "read/fetch_executor.h"
#include "read/read_engine.h"
#include "read/segment_store.h"
#include "read/stream.h"
#include "read/stream_detector.h"
#include "read/stream_places.h"

namespace shoal {

// A stream and what it has in memory. Guarded by the engine's lock.
struct FollowedStream : StreamAccount {
  FollowedStream(uint64_t frontier, uint64_t segment_bytes) : stream(frontier, segment_bytes) {}

  Stream stream;
};

// What the handles on one object version share. Guarded by the engine's lock.
struct OpenObject : SegmentOwner {
  OpenObject(ObjectVersion version_, std::shared_ptr<ObjectBytes> bytes_)
      : version(std::move(version_)), bytes(std::move(bytes_)) {}

  const ObjectVersion version;
  const std::shared_ptr<ObjectBytes> bytes;  // its own synchronization
  StreamPlaces places;                       // as well
  StreamDetector detector;
  std::map<StreamId, std::shared_ptr<FollowedStream>> streams;
  // Of reads of which nothing came. Where one object is read in more places at once, the kernel's
  // repeats of the oldest wait once more.
  RecentFailures<ByteRange> failures{64};
  std::atomic<bool> closed = false;    // set with the lock held
  std::atomic<bool> foreseen = false;  // its bytes are in segments, whatever a cache has
};

// A read that was not answered yet. Guarded by the engine's lock until it is `settled`,
// then owned by the thread that answers.
struct PendingRead {
  std::shared_ptr<OpenObject> object;
  ByteRange range;  // not empty, inside the object
  ReadDone done;
  Deadline deadline;                       // from when it came, wherever it waits
  std::shared_ptr<FollowedStream> stream;  // null: a random read
  std::vector<SegmentPointer> segments;    // held; in order, together they cover the range
  size_t missing_count = 0;                // of them, not filled far enough yet
  bool waited = false;
  bool settled = false;        // its answer is known
  std::optional<Error> error;  // what it is, if not bytes
};

class SegmentEngine final : public ReadEngine, private FetchSink::Listener {
 public:
  SegmentEngine(const ReadOptions& options, RangeSource& source, const Clock& clock);
  ~SegmentEngine() override = default;  // no reader is left: fetches under way end early

  std::shared_ptr<ObjectReader> Open(const ObjectVersion& version) override EXCLUDES(mutex_);
  void SetMemory(uint64_t memory_mib) override EXCLUDES(mutex_);
  void SetFetchCountMax(uint64_t count_max) override { executor_.SetThreadCountMax(count_max); }
  std::shared_ptr<ObjectReader> Foresee(const ObjectVersion& version) override EXCLUDES(mutex_);

  struct MemoryUse {
    uint64_t used_bytes;  // by segments
    uint64_t peak_bytes;  // the most ever
    uint64_t kept_bytes;  // free, but not given back to the system
  };
  [[nodiscard]] MemoryUse memory_use() EXCLUDES(mutex_);

 private:
  class Reader;
  using ReadPointer = std::shared_ptr<PendingRead>;
  using Answers = std::vector<ReadPointer>;                 // to be given once the lock is let go
  using VersionName = std::pair<std::string, std::string>;  // key, ETag

  std::shared_ptr<Reader> OpenReader(const ObjectVersion& version) EXCLUDES(mutex_);
  void Read(const std::shared_ptr<OpenObject>& object, ByteRange range, ReadDone done)
      EXCLUDES(mutex_);
  // Takes those that `is_meant` says out of the line.
  template <class Predicate>
  void FailInLine(Predicate is_meant, const Error& error, Answers& answers) REQUIRES(mutex_);
  bool FetchWhole(const std::shared_ptr<OpenObject>& object) REQUIRES(mutex_);
  void Close(const std::shared_ptr<OpenObject>& object) EXCLUDES(mutex_);

  // A read, until its segments are all there or on their way.
  void Observe(PendingRead& read) REQUIRES(mutex_);
  bool Start(const ReadPointer& read, bool first_in_line, Answers& answers) REQUIRES(mutex_);
  void FetchGaps(const ReadPointer& read, const std::vector<ByteRange>& gaps) REQUIRES(mutex_);
  void Await(const ReadPointer& read, Answers& answers) REQUIRES(mutex_);
  void ReadAhead(const PendingRead& read) REQUIRES(mutex_);
  // `asked` lies in the range: what of it is wanted. `read` is null for what nobody reads yet.
  void StartFetch(const std::shared_ptr<OpenObject>& object, ByteRange range, ByteRange asked,
                  const std::shared_ptr<FollowedStream>& stream, FetchExecutor::Urgency urgency,
                  const ReadPointer& read) REQUIRES(mutex_);

  // A fetch, on its thread.
  void RunFetch(const std::shared_ptr<Fetch>& fetch) EXCLUDES(mutex_);
  bool OnFilled(Fetch& fetch, size_t segment_index, uint64_t filled_bytes) override
      EXCLUDES(mutex_);
  void EndFetch(const Fetch& fetch, size_t filled_count, const std::optional<Error>& error)
      EXCLUDES(mutex_);

  // The store has just failed to answer a read of some of it.
  const Error* FindFailure(OpenObject& object, ByteRange range) REQUIRES(mutex_);
  // Fails the read that the fetch was for, and puts others at the head of the line where one of
  // their own may do better.
  void FailFetch(const Fetch& fetch, size_t filled_count, const Error& error, Answers& answers)
      REQUIRES(mutex_);
  // As if it had just come: it waits for nothing and holds nothing.
  void StartOver(const ReadPointer& read) REQUIRES(mutex_);

  // Answers.
  static void FailWaiters(Segment& segment, const Error& error, Answers& answers);
  void Deliver(Answers answers) EXCLUDES(mutex_);
  static void Answer(PendingRead& read);
  void Release(PendingRead& read) REQUIRES(mutex_);
  void AdmitFromLine(Answers& answers) REQUIRES(mutex_);
  void TrimIfIdle() REQUIRES(mutex_);

  // Where the segment that holds the byte at `offset` ends, if not at `limit`.
  [[nodiscard]] uint64_t SegmentEnd(uint64_t offset, uint64_t limit) const;

  const uint32_t page_bytes_;
  const uint64_t segment_bytes_;
  const Duration fetch_deadline_;
  RangeSource& source_;
  const Clock& clock_;

  Mutex mutex_;
  SegmentStore store_ GUARDED_BY(mutex_);
  std::deque<ReadPointer> line_ GUARDED_BY(mutex_);  // for memory
  std::map<VersionName, std::weak_ptr<Reader>> readers_ GUARDED_BY(mutex_);
  // All that is foreseen: one stream among the others when memory is shared.
  const std::shared_ptr<FollowedStream> foreseen_ GUARDED_BY(mutex_) =
      std::make_shared<FollowedStream>(0, segment_bytes_);
  uint64_t last_fetch_id_ GUARDED_BY(mutex_) = 0;

  FetchExecutor executor_;  // last: its threads use the rest
};

}  // namespace shoal
