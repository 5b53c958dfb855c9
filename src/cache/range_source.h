// RangeSource: the one interface of the read path, a place that can give bytes of an
// object version. The origin is one; each tier and a peer are others, and each tier
// holds the next source and asks it on a miss. A node's role is which sources app/
// strings together, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/object.h"
#include "base/result.h"
#include "cache/whole_file.h"

namespace shoal {

enum class ServedBy : uint8_t { kMemory, kDisk, kPeer, kOrigin };
enum class Purpose : uint8_t { kRead, kReadahead, kWarmup };

struct RangeRequest {
  ByteRange range;  // not empty, inside the object
  Purpose purpose = Purpose::kRead;
  Deadline deadline;
  // Of the range: what nobody asked for, which rounding it out to pages added, or to all of a small
  // object.
  uint64_t rounding_bytes = 0;
};

// One object version, as one source can give it. Thread-safe.
class ObjectBytes {
 public:
  virtual ~ObjectBytes() = default;

  // Sends exactly range.length bytes to `sink` and answers where they were found (the
  // furthest place, if several), or fails having sent a prefix of them. Blocks until then.
  // Errors are ObjectStore::Get's.
  virtual Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) = 0;

  // Fills `out` from `offset` if that can be done without waiting for a disk or a network.
  // Empty: it cannot, and `out` may hold anything. REQUIRES: inside the object, not empty.
  virtual std::optional<ServedBy> ReadNow(uint64_t offset, std::span<std::byte> out) {
    (void)offset, (void)out;
    return std::nullopt;
  }

  // Whether all of the range is known to be somewhere nearer than the origin, so that a read of it
  // asks no store. Does not wait. REQUIRES as above.
  [[nodiscard]] virtual bool IsNear(ByteRange range) const {
    (void)range;
    return false;
  }

  // The object as one file; null when it is not, or is too small to be worth it. May wait
  // for a disk, until the deadline.
  virtual std::shared_ptr<const WholeFile> Whole(Deadline deadline) {
    (void)deadline;
    return nullptr;
  }
  // The same, if that is known without waiting; else empty.
  virtual std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown() {
    return std::shared_ptr<const WholeFile>();
  }
};

class RangeSource {
 public:
  virtual ~RangeSource() = default;
  // Does not wait. The source outlives what it returns. Safe from any thread.
  virtual std::shared_ptr<ObjectBytes> Open(const ObjectVersion& version) = 0;
};

}  // namespace shoal
