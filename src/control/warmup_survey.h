// The first half of a warm-up task: what there is in all, and whether it fits. What of it is in
// the cache is favoured from then on.
//
// Listed files are kept in memory as far as there is room for them; the rest is to be listed
// again when its turn comes. Used by one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "control/warmup_listing.h"
#include "control/warmup_means.h"

namespace shoal {

class WarmupSurvey {
 public:
  struct Listed {
    ObjectInfo info;
    // For who loads it.
    bool admitted = false;
    bool arrived = false;
  };

  // `stopped` is asked from any thread.
  WarmupSurvey(WarmupMeans& means, WarmupListing listing, std::function<bool()> stopped);
  ~WarmupSurvey();
  WarmupSurvey(const WarmupSurvey&) = delete;
  WarmupSurvey& operator=(const WarmupSurvey&) = delete;

  // Lists everything, once. `between_pages` is called while there is more to list, something was
  // found, and it may fit; it may change what is in listed(). kInterrupted: stopped; other errors
  // are WarmupListing's.
  Result<> Run(const std::function<void()>& between_pages);

  // Of what was listed.
  [[nodiscard]] bool is_directory() const { return is_directory_; }
  [[nodiscard]] uint64_t total_bytes() const { return total_bytes_; }
  [[nodiscard]] uint64_t total_object_count() const { return total_object_count_; }
  // kNoSpace, with both figures: not all of it can be in the cache at one time.
  // kBusy: the cache has grown since Run() saw that and stopped listing.
  [[nodiscard]] Result<> CheckRoom() const;

  // Their places in memory stay.
  [[nodiscard]] std::deque<Listed>& listed() { return listed_; }
  // Where what is not in listed() begins, if there is any; to be listed with NextPage.
  [[nodiscard]] const std::optional<WarmupListing>& beyond() const { return beyond_; }
  // The next page, when it is warm-up's turn.
  Result<std::optional<std::vector<ObjectInfo>>> NextPage(WarmupListing& listing);

 private:
  void Keep(const std::vector<ObjectInfo>& page, WarmupListing before);
  uint64_t Count(const ObjectInfo& info);

  WarmupMeans& means_;
  const WarmupListing listing_;  // as it begins
  const std::function<bool()> stopped_;
  std::deque<Listed> listed_;
  std::optional<WarmupListing> beyond_;
  std::vector<uint64_t> needed_bytes_;  // of each of the tier's volumes
  uint64_t total_bytes_ = 0;
  uint64_t total_object_count_ = 0;
  bool is_directory_ = false;
  bool is_all_ = false;
};

}  // namespace shoal
