// RangeSource: the one interface of the read path, a place that can give bytes of an
// object version. The origin is one; each tier and a peer are others, and each tier
// holds the next source and asks it on a miss. A node's role is which sources app/
// strings together, and nothing else.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/object.h"
#include "base/result.h"

namespace shoal {

enum class ServedBy : uint8_t { kMemory, kDisk, kPeer, kOrigin };
enum class Purpose : uint8_t { kRead, kReadahead, kWarmup };

struct RangeRequest {
  const ObjectVersion& object;  // outlives the call
  ByteRange range;              // not empty, inside the object
  Purpose purpose = Purpose::kRead;
  Deadline deadline;
};

class RangeSource {
 public:
  virtual ~RangeSource() = default;
  // Sends exactly range.length bytes to `sink` and answers where they were found, or
  // fails having sent a prefix of them. Blocks until then. Safe from any thread.
  // Errors are ObjectStore::Get's.
  virtual Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) = 0;
};

}  // namespace shoal
