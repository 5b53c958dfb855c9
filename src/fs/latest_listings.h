// The listing of each directory that was begun last, for as long as look-ups may be
// answered from it. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "fs/directory_listing.h"

namespace shoal {

class LatestListings {
 public:
  // `clock` outlives this.
  explicit LatestListings(const Clock& clock) : clock_(clock) {}

  void Set(const std::string& prefix, std::shared_ptr<DirectoryListing> listing);
  // What a page that came at most kTrustedFor ago says of that name.
  std::optional<DirectoryListing::Found> Find(const std::string& prefix, std::string_view name);
  // Lets go of listings nobody reads that are too old to answer from.
  void Sweep();

  // Long enough for `ls -l`, `cp -r` or a shell's `for` to come to the name; a `stat`
  // may be this late, an open never is.
  static constexpr Duration kTrustedFor = std::chrono::seconds(5);

 private:
  struct Row {
    std::shared_ptr<DirectoryListing> listing;
    Instant used;
  };

  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Row, std::less<>> rows_;  // by prefix; guarded by mutex_
};

}  // namespace shoal
