// Reading without a cache: ranges of open objects, fetched once, ahead of sequential
// readers and exactly for random ones.
//
// A read is answered from segments: runs of bytes of one object version that are being
// fetched or have been. Bytes nobody is fetching are asked for at once, rounded out to
// `page_bytes`. Sequential streams, several in one object, get segments ahead of them.
// A segment goes when its bytes were read, when its object is closed, or, oldest
// first, when the budget needs room. Small objects can be fetched before they are opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <tuple>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/object.h"
#include "base/option.h"
#include "base/result.h"
#include "cache/range_source.h"

namespace shoal {

inline constexpr uint64_t kSegmentBytesMin = 64 * kKiB;
inline constexpr uint64_t kSegmentBytesMax = 8 * kMiB;

struct ReadOptions {
  uint64_t memory_mib = 256;
  // A power of two from kSegmentBytesMin to kSegmentBytesMax; an eighth of the memory at most is
  // used.
  uint64_t segment_bytes = 1 * kMiB;
  uint64_t fetch_count_max = 64;    // GETs under way at once; from max_connections
  uint32_t page_bytes = 16 * kKiB;  // what a random read is rounded out to
  uint64_t deadline_seconds = 30;   // of one fetch; from request_deadline
};

inline constexpr auto kReadOptions = std::tuple{
    Option{"read_memory_mb", &ReadOptions::memory_mib, Unit::kMebibytes,
           "Most memory for bytes on their way to readers, over all open files"},
    Option{"g_tier_BlockSize", &ReadOptions::segment_bytes, Unit::kBytes,
           "Block of sequential reading, which fetches one or several whole ones at a time and "
           "lets each go when it was read: a power of two from 65536 to 8388608, of which an "
           "eighth of read_memory_mb at most is used"},
};

// The bytes of a read, as consecutive pieces, valid during the callback only. Fewer than
// asked only at the end of the object. Called exactly once, from any thread, possibly
// before Read returns; must not block.
using ReadDone = std::function<void(Result<std::span<const std::span<const std::byte>>>)>;

// One version of one object, shared by all its open handles. Thread-safe.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;  // ends its fetches; reads under way fail with kInterrupted
  // Does not block. kChanged when the object is no longer this version.
  virtual void Read(ByteRange range, ReadDone done) = 0;
  // Fills `out` from `offset`, as far as the object goes, if a cache has all of that at hand;
  // answers how much that is. Empty: Read it. Does not block.
  virtual std::optional<size_t> ReadNow(uint64_t offset, std::span<std::byte> out) = 0;
  // As ObjectBytes has them.
  virtual std::shared_ptr<const WholeFile> Whole(Deadline deadline) = 0;
  virtual std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown() = 0;
};

// Thread-safe. Outlives its readers.
class ReadEngine {
 public:
  virtual ~ReadEngine() = default;  // waits for its threads
  // The reader of `version`: the same one for as long as anybody holds it.
  virtual std::shared_ptr<ObjectReader> Open(const ObjectVersion& version) = 0;
  // ReadOptions::memory_mib, from now on: what is over it is let go as it is read. Reads that wait
  // and are of more than half of it fail with kInvalid. Does not wait.
  virtual void SetMemory(uint64_t memory_mib) = 0;
  // GETs under way at once, from now on.
  virtual void SetFetchCountMax(uint64_t count_max) = 0;

  // The reader of an object that will be opened soon, with all of it on its way: for as long
  // as the caller holds it, Open answers the same one, and reads find the bytes. Those who
  // wait for bytes come first, for memory and for threads. Null: there is no memory for it
  // now. What is foreseen in all takes at most a quarter of `memory_mib`, and nothing that a
  // read needs. Does not wait. REQUIRES: 0 < size_bytes <= kForeseenBytesMax.
  virtual std::shared_ptr<ObjectReader> Foresee(const ObjectVersion& version) = 0;
  static constexpr uint64_t kForeseenBytesMax = kMiB;
};

// The blocks that are used: smaller than asked for where fewer than eight would fit into the
// memory, so that some can be fetched while another is read. Pure.
uint64_t SegmentBytes(const ReadOptions& options);

// `source` and `clock` outlive the engine.
std::unique_ptr<ReadEngine> MakeReadEngine(const ReadOptions& options, RangeSource& source,
                                           const Clock& clock);

}  // namespace shoal
