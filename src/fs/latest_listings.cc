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
  std::vector<std::shared_ptr<DirectoryListing>> gone;  // freed after the lock
  const MutexLock lock(mutex_);
  MakeRoom(gone);
  Row& row = rows_[prefix];
  gone.push_back(std::exchange(row.listing, std::move(listing)));
  row.opened = clock_.Now();
}

void LatestListings::MakeRoom(std::vector<std::shared_ptr<DirectoryListing>>& gone) {
  struct Victim {
    Instant opened;
    uint64_t bytes;
    Rows::iterator row;
  };
  uint64_t bytes = 0;
  const bool may_be_too_large = memory_.used_bytes() > bytes_max_;  // else these take no more
  if (rows_.size() < kListingsMax && !may_be_too_large) return;
  std::vector<Victim> victims;
  for (auto row = rows_.begin(); row != rows_.end(); ++row) {
    victims.push_back({row->second.opened, row->second.listing->left_over_bytes(), row});
    bytes += victims.back().bytes;
  }
  std::ranges::sort(victims, {}, &Victim::opened);
  for (const Victim& victim : victims) {
    const bool too_many = rows_.size() >= kListingsMax;
    if (!too_many && bytes <= bytes_max_) return;
    if (!too_many && victim.bytes == 0) continue;
    bytes -= victim.bytes;
    gone.push_back(std::move(victim.row->second.listing));
    rows_.erase(victim.row);
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
    const bool more_may_come = row->second.listing.use_count() > 1 && !listing.ended();
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
