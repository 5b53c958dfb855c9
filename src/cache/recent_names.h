// Which objects were opened lately: enough to tell a second opening from a first.
// Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <unordered_set>

#include "base/mutex.h"
#include "cache/object_digest.h"

namespace shoal {

class RecentNames {
 public:
  // True if it was noted before and not forgotten since.
  bool Note(const ObjectDigest& name) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const uint64_t word = name.words[0];
    if (!known_.insert(word).second) return true;
    order_.push_back(word);
    if (order_.size() > kNamesMax) {
      known_.erase(order_.front());
      order_.pop_front();
    }
    return false;
  }

 private:
  static constexpr size_t kNamesMax = 65536;

  Mutex mutex_;
  std::unordered_set<uint64_t> known_ GUARDED_BY(mutex_);
  std::deque<uint64_t> order_ GUARDED_BY(mutex_);
};

}  // namespace shoal
