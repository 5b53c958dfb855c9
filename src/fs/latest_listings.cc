#include "fs/latest_listings.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace shoal {
namespace {

// A walk over a deep tree begins listings faster than they age.
constexpr size_t kListingsMax = 1024;

}  // namespace

void LatestListings::Set(const std::string& prefix, std::shared_ptr<DirectoryListing> listing) {
  Sweep();
  std::shared_ptr<DirectoryListing> replaced;  // freed after the lock
  const MutexLock lock(mutex_);
  MakeRoom();
  Row& row = rows_[prefix];
  replaced = std::exchange(row.listing, std::move(listing));
  row.opened = clock_.Now();
}

void LatestListings::MakeRoom() {
  uint64_t bytes = 0;
  if (memory_.used_bytes() > bytes_max_)  // else these take no more
    for (const auto& [prefix, row] : rows_) bytes += row.listing->memory_bytes();
  while (rows_.size() >= kListingsMax || bytes > bytes_max_) {
    const auto oldest =
        std::ranges::min_element(rows_, {}, [](const auto& row) { return row.second.opened; });
    bytes -= std::min<uint64_t>(bytes, oldest->second.listing->memory_bytes());
    rows_.erase(oldest);
  }
}

std::optional<DirectoryListing::Found> LatestListings::Find(const std::string& prefix,
                                                            std::string_view name) {
  std::shared_ptr<DirectoryListing> listing;
  Instant opened;
  const Instant now = clock_.Now();
  {
    const MutexLock lock(mutex_);
    const auto row = rows_.find(prefix);
    if (row == rows_.end()) return std::nullopt;
    listing = row->second.listing;
    opened = row->second.opened;
  }
  std::optional<DirectoryListing::Found> found = listing->Find(name);
  if (found && now - std::max(opened, found->as_of) > kTrustedFor) return std::nullopt;
  return found;
}

void LatestListings::Sweep() {
  const Instant now = clock_.Now();
  std::vector<std::shared_ptr<DirectoryListing>> old;  // freed after the lock
  const MutexLock lock(mutex_);
  for (auto row = rows_.begin(); row != rows_.end();) {
    const DirectoryListing& listing = *row->second.listing;
    const bool more_may_come = row->second.listing.use_count() > 1 && !listing.complete();
    const Instant used = std::max(row->second.opened, listing.last_page_came());
    if (more_may_come || now - used <= kTrustedFor) {
      ++row;
    } else {
      old.push_back(std::move(row->second.listing));
      row = rows_.erase(row);
    }
  }
}

void LatestListings::Clear() {
  decltype(rows_) cleared;  // freed after the lock
  const MutexLock lock(mutex_);
  cleared.swap(rows_);
}

}  // namespace shoal
