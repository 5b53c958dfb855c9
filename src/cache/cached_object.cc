#include "cache/cached_object.h"

#include <cstring>
#include <iterator>

namespace shoal {

void CachedObject::AddPending(std::shared_ptr<const CacheChunk> chunk) {
  const MutexLock lock(mutex_);
  const uint64_t offset = chunk->offset;
  pending_[offset] = std::move(chunk);
}

void CachedObject::DropPending(const CacheChunk& chunk) {
  std::shared_ptr<const CacheChunk> dropped;  // freed after the lock
  const MutexLock lock(mutex_);
  const auto found = pending_.find(chunk.offset);
  if (found == pending_.end() || found->second.get() != &chunk) return;
  dropped = std::move(found->second);
  pending_.erase(found);
}

bool CachedObject::ReadPending(uint64_t offset, std::span<std::byte> out) const {
  std::shared_ptr<const CacheChunk> chunk;
  {
    const MutexLock lock(mutex_);
    auto after = pending_.upper_bound(offset);
    if (after == pending_.begin()) return false;
    chunk = std::prev(after)->second;
  }
  const uint64_t skip = offset - chunk->offset;
  if (skip + out.size() > chunk->size_bytes) return false;
  std::memcpy(out.data(), chunk->bytes.get() + skip, out.size());
  return true;
}

CachedObject::PendingRun CachedObject::PendingFrom(uint64_t offset) const {
  const MutexLock lock(mutex_);
  const auto after = pending_.upper_bound(offset);
  if (after != pending_.begin()) {
    const CacheChunk& chunk = *std::prev(after)->second;
    if (offset < chunk.offset + chunk.size_bytes) return {true, chunk.offset + chunk.size_bytes};
  }
  return {false, after == pending_.end() ? size_bytes : after->first};
}

}  // namespace shoal
