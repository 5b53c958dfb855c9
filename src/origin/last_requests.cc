#include "origin/last_requests.h"

#include <iterator>

namespace shoal {
namespace {

void CutShort(std::string& text, size_t bytes_max) {
  if (text.size() > bytes_max) text.resize(bytes_max);
}

}  // namespace

void LastRequests::Note(std::string_view key, LastRequest request) {
  CutShort(request.id, kIdBytesMax);
  CutShort(request.failure, kFailureBytesMax);
  Notes note;  // made, and what it replaces unmade, without the lock
  note.emplace_front(std::string(key), std::move(request));
  Notes gone;
  const MutexLock lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    gone.splice(gone.begin(), notes_, found->second);
    by_key_.erase(found);
  } else if (notes_.size() == key_count_max_) {
    by_key_.erase(notes_.back().first);
    gone.splice(gone.begin(), notes_, std::prev(notes_.end()));
  }
  notes_.splice(notes_.begin(), note);
  by_key_.emplace(notes_.front().first, notes_.begin());
}

std::optional<LastRequest> LastRequests::Of(std::string_view key) const {
  const MutexLock lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return found->second->second;
}

}  // namespace shoal
