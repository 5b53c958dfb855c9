// What is on its way of one object to one volume, so that nobody else asks for the same bytes
// meanwhile.
//
// Who fetches says so: a *flight* is one fetch, from before its request until its end. Who misses
// some of its bytes waits for them here, and takes them from the flight as they arrive, or from
// the volume once they were handed to it. What it cannot have in either way it fetches by itself:
// a flight that fails, is abandoned or stalls, or a volume that drops, costs others a bounded wait
// and nothing else. A thread that waits has no flight of its own in the table, so no two wait for
// each other.
//
// Thread-safe. The lock is held for steps of a few words; never across I/O, a copy or a call.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace shoal {

// What somebody lacks.
struct Miss {
  enum class Need : uint8_t {
    kNow,     // a reader waits for the bytes
    kSoon,    // nobody waits for them yet
    kStored,  // they are wanted in the volume, and in nobody's hand
  };

  ByteRange range;  // not empty, inside the object
  Need need = Need::kNow;
  // From then on it waits for nobody.
  Instant patient_until = Instant::max();
};

// Half of the time there is: the other half is for a fetch of one's own.
Instant PatientUntil(Deadline deadline, const Clock& clock);

class FlightTable {
  struct State;

 public:
  // A flight that brought nothing for so long is not waited for any more.
  static constexpr Duration kStallMax = std::chrono::seconds(2);
  // Nor is one that waits for the volume to take what it brought, except by who needs just that.
  static constexpr Duration kStoringMax = std::chrono::milliseconds(250);
  // A reader waits for bytes so far behind those that arrive last, or so many times as far as it
  // asks for: to fetch a little twice takes less than to wait for much that nobody asked for.
  static constexpr uint64_t kAheadBytes = kMiB;
  static constexpr uint64_t kAheadFactor = 8;
  // The longest that one call here waits.
  static constexpr Duration kWaitMax = std::chrono::milliseconds(250);

  using Memory = std::shared_ptr<const std::byte[]>;

  // For the thread that fetches. Ends when it is let go of: by then all that came was handed to
  // the volume.
  class Flight {
   public:
    ~Flight();
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

    // What to fetch: it begins where the miss did, and ends with it or where others go on.
    [[nodiscard]] ByteRange range() const { return range_; }
    // It fetches only so far. REQUIRES: range().offset < end <= range().end().
    void Shorten(uint64_t end);

    // `memory` has the bytes from `offset` of the object to `until`, which do not change.
    void Arrived(Memory memory, uint64_t offset, uint64_t until);
    // What arrived is about to be handed to the volume.
    void Storing();
    // What arrived before `until` is in the volume, or was dropped.
    void Stored(uint64_t until);

   private:
    friend class FlightTable;
    Flight(FlightTable& table, std::list<State>::iterator state, ByteRange range)
        : table_(table), state_(state), range_(range) {}

    FlightTable& table_;
    const std::list<State>::iterator state_;
    ByteRange range_;
  };

  // `clock` outlives it.
  FlightTable(uint64_t object_bytes, uint32_t page_bytes, const Clock& clock)
      : object_bytes_(object_bytes), page_bytes_(page_bytes), clock_(clock) {}

  // A flight for the beginning of what is missed, unless it is worth waiting for somebody who
  // brings it: then null. What came into the volume before the call is not known here: look
  // there again before fetching.
  std::unique_ptr<Flight> Claim(const Miss& miss);

  struct Part {
    Memory memory;  // has the bytes
    std::span<const std::byte> bytes;
  };
  // Bytes from the beginning of what is missed, as many as have arrived. None: look at the
  // volume, and claim again.
  Part AwaitBytes(const Miss& miss);
  // Until the beginning of what is missed was handed to the volume, or is not waited for any
  // more, or for kWaitMax.
  void AwaitStored(const Miss& miss);

 private:
  // Its bytes before `stored_until` were handed over; those from `memory_offset` are in `memory`
  // as far as `arrived_until`.
  struct State {
    uint64_t stored_until;
    uint64_t arrived_until;
    uint64_t end;  // of its last whole page: no other is kept
    uint64_t memory_offset;
    Memory memory;
    Instant moved;  // when it last came closer to its end
    bool storing = false;

    [[nodiscard]] bool HasInHand(uint64_t offset) const {
      return memory != nullptr && memory_offset <= offset && offset < arrived_until;
    }
  };
  struct Waiter {
    const Miss& miss;
    CondVar woken;
  };

  [[nodiscard]] uint64_t EndOfPages(uint64_t end) const;
  static bool IsStalled(const State& flight, Miss::Need need, Instant now);
  // The flight that brings what is missed soonest; null: none that is worth waiting for.
  const State* Bringing(const Miss& miss, Instant now) const REQUIRES(mutex_);
  void Wait(const Miss& miss, Instant now) REQUIRES(mutex_);
  // What happened to bytes: they arrived, or the flight has no more to do with them.
  enum class Event : uint8_t { kArrived, kLeft };
  // Those whom it concerns, who miss bytes of [begin, end).
  void Wake(uint64_t begin, uint64_t end, Event event) REQUIRES(mutex_);

  const uint64_t object_bytes_;
  const uint32_t page_bytes_;
  const Clock& clock_;

  Mutex mutex_;
  std::list<State> flights_ GUARDED_BY(mutex_);
  std::vector<Waiter*> waiters_ GUARDED_BY(mutex_);  // each on the stack of a thread that waits
};

}  // namespace shoal
