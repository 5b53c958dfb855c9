#include "fs/directory_cache.h"

#include <utility>

namespace shoal {
namespace {

// Of a row: nodes of a list and a map, a slot, and the headers of some seven allocations.
constexpr uint64_t kRowBytes = 256;

bool Agree(const std::optional<DirectoryListing::Found>& listed, const NameFact& fact) {
  switch (fact.kind) {
    case NameFact::Kind::kMissing:
      return !listed;
    case NameFact::Kind::kDirectory:
      return listed && listed->entry.is_directory;
    case NameFact::Kind::kFile:
      return listed && !listed->entry.is_directory &&
             (listed->entry.object.storage_class == StorageClass::kLink ||
              LookAlike(listed->entry.object, fact.object));
  }
  return false;
}

}  // namespace

std::shared_ptr<DirectoryListing> DirectoryCache::Find(std::string_view prefix) {
  Rows removed;
  const MutexLock lock(mutex_);
  const auto found = by_prefix_.find(prefix);
  if (found == by_prefix_.end()) return nullptr;
  const Rows::iterator row = found->second;
  if (IsOld(*row->listing)) {
    Remove(row, removed);
    return nullptr;
  }
  rows_.splice(rows_.begin(), rows_, row);
  return row->listing;
}

void DirectoryCache::Keep(const std::shared_ptr<DirectoryListing>& listing) {
  if (!listing->complete()) return;
  const Row row{.listing = listing,
                .entry_count = listing->entry_count(),
                .size_bytes = listing->memory_bytes() + kRowBytes};
  Rows removed;
  const MutexLock lock(mutex_);
  if (IsOld(*listing) || row.entry_count > limits_.entry_count_max ||
      row.size_bytes > limits_.size_bytes_max)
    return;
  if (listing->disowned() || listing->begin().directory_clear_count != clear_count_) return;
  if (const auto found = by_prefix_.find(listing->prefix()); found != by_prefix_.end()) {
    const DirectoryListing& kept = *found->second->listing;
    if (&kept == listing.get() || kept.begin().at > listing->begin().at) return;
    Remove(found->second, removed);
  }
  MakeRoom(row.entry_count, row.size_bytes, removed);
  entry_count_ += row.entry_count;
  size_bytes_ += row.size_bytes;
  rows_.push_front(row);
  listing->NoteKept(true);
  by_prefix_[listing->prefix()] = rows_.begin();
}

void DirectoryCache::Compare(std::string_view prefix, std::string_view name, const NameFact& fact) {
  const std::shared_ptr<DirectoryListing> listing = Find(prefix);
  if (!listing || Agree(listing->Find(name), fact)) return;
  Rows removed;
  const MutexLock lock(mutex_);
  listing->Disown();
  const auto found = by_prefix_.find(prefix);
  if (found != by_prefix_.end() && found->second->listing == listing)
    Remove(found->second, removed);
}

void DirectoryCache::MakeRoom(uint64_t entry_count, uint64_t size_bytes, Rows& removed) {
  while (!rows_.empty() && (entry_count_ + entry_count > limits_.entry_count_max ||
                            size_bytes_ + size_bytes > limits_.size_bytes_max))
    Remove(std::prev(rows_.end()), removed);
}

void DirectoryCache::SetLimits(const DirectoryCacheLimits& limits) {
  Rows removed;
  const MutexLock lock(mutex_);
  limits_ = limits;
  MakeRoom(0, 0, removed);
}

void DirectoryCache::Clear() {
  Rows removed;
  const MutexLock lock(mutex_);
  ++clear_count_;
  by_prefix_.clear();
  for (const Row& row : rows_) row.listing->NoteKept(false);
  removed.swap(rows_);
  entry_count_ = 0;
  size_bytes_ = 0;
}

uint64_t DirectoryCache::clear_count() const {
  const MutexLock lock(mutex_);
  return clear_count_;
}

uint64_t DirectoryCache::entry_count() const {
  const MutexLock lock(mutex_);
  return entry_count_;
}

uint64_t DirectoryCache::size_bytes() const {
  const MutexLock lock(mutex_);
  return size_bytes_;
}

void DirectoryCache::Remove(Rows::iterator row, Rows& removed) {
  row->listing->NoteKept(false);
  by_prefix_.erase(row->listing->prefix());
  entry_count_ -= row->entry_count;
  size_bytes_ -= row->size_bytes;
  removed.splice(removed.end(), rows_, row);
}

}  // namespace shoal
