// What HEAD requests have just said about keys, so that the look-up and the open of
// one open(2) cost one request between them.
//
// The kernel sends LOOKUP then OPEN for one open(2). Close-to-open wants the object
// asked after open(2) began. A look-up that asked the store leaves one *credit*; the
// OPEN that follows spends it instead of asking again. A look-up answered from here
// takes the credits away, because the OPEN that follows it has seen no request of its
// own. Names answered from here are given to the kernel with no validity, so every
// open(2) does send its LOOKUP. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"
#include "origin/object_store.h"

namespace shoal {

class VerifiedNames {
 public:
  struct Verified {
    ObjectInfo object;  // of one that is gone the key only
    Instant as_of;
    bool gone = false;
  };

  // `clock` outlives this.
  explicit VerifiedNames(const Clock& clock) : clock_(clock) {}

  // A look-up asked the store and this was the answer: one more credit for it.
  void AddWithCredit(const ObjectInfo& object);
  // An open asked the store and found another version than it was asked to open. The
  // kernel looks the name up again at once and opens that: the credit is for then, and the
  // look-up on the way does not take it. A later look-up is another open's.
  void AddReplaced(const ObjectInfo& object);
  // An open asked the store, which has no such object: whatever a listing shows, the next look-up
  // is not answered from it.
  void AddGone(std::string_view key);
  // What was said last, if that is at most kKeptFor ago. Takes the credits away.
  std::optional<Verified> TakeForLookup(const std::string& key);
  // A listing gave the kernel this name with some validity: an open may come without a
  // look-up of its own.
  void DropCredits(const std::string& key);
  // True, once a credit: the store said `version` is the newest and can be read, in the last
  // kCreditValidFor.
  bool SpendCredit(const ObjectVersion& version);
  void Clear();

  static constexpr Duration kCreditValidFor = std::chrono::seconds(1);
  static constexpr Duration kLookedUpAgainWithin = std::chrono::milliseconds(20);
  static constexpr Duration kKeptFor = std::chrono::seconds(10);

 private:
  struct Row {
    Verified verified;
    uint32_t credits = 0;
    bool keep_credit_once = false;
  };
  Row& Put(const ObjectInfo& object) REQUIRES(mutex_);

  const Clock& clock_;
  Mutex mutex_;
  std::unordered_map<std::string, Row> rows_ GUARDED_BY(mutex_);
};

}  // namespace shoal
