// An object version on its way into a tier, for nobody who waits for its bytes.
//
// Unlike what a reader leaves behind, nothing of it is dropped because the medium is behind:
// it waits instead. While it lives the object is not evicted. Safe from any thread.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace shoal {

class Delivery {
 public:
  virtual ~Delivery() = default;

  // Whether all of the range is where all of the object is to be, or waits to be written. May
  // wait for a disk.
  virtual bool Has(ByteRange range, Deadline deadline) = 0;

  // Sees what is fetched, and ends it by wanting no more.
  class Watcher : public ByteSink {
   public:
    // What others brought. With what was fetched that is all of the range, in the end.
    virtual void OnFound(uint64_t bytes) { (void)bytes; }
  };

  // Fetches what the range lacks and has it written, in part if it fails. kBusy: the tier can
  // keep nothing now; other errors are ObjectStore::Get's. REQUIRES: the range begins at a page
  // and ends at one, or at the object's end.
  virtual Result<> Bring(ByteRange range, Watcher& watcher, Deadline deadline) = 0;

  enum class Arrival : uint8_t { kPending, kWhole, kIncomplete };
  // Waits for what was brought to be written; kPending when it is not by the deadline. Whole
  // is written, every page with its checksum; then it is favoured over what nobody asked for.
  virtual Arrival Arrive(Deadline deadline) = 0;
};

}  // namespace shoal
