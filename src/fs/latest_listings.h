// The listing of each directory that was begun last, for as long as look-ups may be
// answered from it. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "fs/directory_listing.h"

namespace shoal {

class LatestListings {
 public:
  // `clock` and `memory`, that of all listings, outlive this. Of those that nobody reads or keeps
  // the ones opened longest ago go when all of them take more than `bytes_max`.
  LatestListings(const Clock& clock, const ListingMemory& memory, uint64_t bytes_max)
      : clock_(clock), memory_(memory), bytes_max_(bytes_max) {}

  // A reader opens the directory and is given this listing, new or kept.
  void Set(const std::string& prefix, std::shared_ptr<DirectoryListing> listing);
  // What the listing says of that name, if the directory was opened, or the page came, at
  // most kTrustedFor ago.
  std::optional<DirectoryListing::Found> Find(const std::string& prefix, std::string_view name);
  // Lets go of listings nobody reads that are too old to answer from.
  void Sweep();
  void Clear();

  // Long enough for `ls -l`, `cp -r` or a shell's `for` to come to the name: they cost no
  // request an entry. A stat sees what the listing shows for so long; an open never does.
  static constexpr Duration kTrustedFor = std::chrono::seconds(5);

 private:
  struct Row {
    std::shared_ptr<DirectoryListing> listing;
    Instant opened;
  };

  using Rows = std::map<std::string, Row, std::less<>>;  // by prefix

  void MakeRoom(std::vector<std::shared_ptr<DirectoryListing>>& gone) REQUIRES(mutex_);

  const Clock& clock_;
  const ListingMemory& memory_;
  const uint64_t bytes_max_;
  Mutex mutex_;
  Rows rows_ GUARDED_BY(mutex_);
};

}  // namespace shoal
