#include "control/warmup_survey.h"

#include <chrono>
#include <string>
#include <utility>

namespace shoal {
namespace {

// Once more is listed than there is room for, so many pages more: the user wants to know how
// much it is, but not at the price of listing a bucket that is out of all proportion.
constexpr int kPagesPastRoom = 1000;
constexpr Duration kLookWait = std::chrono::seconds(10);

std::string InMiB(uint64_t bytes) {
  return std::to_string((bytes + kMiB - 1) / kMiB) + " MiB";
}

}  // namespace

WarmupSurvey::WarmupSurvey(WarmupMeans& means, WarmupListing listing, std::function<bool()> stopped)
    : means_(means),
      listing_(std::move(listing)),
      stopped_(std::move(stopped)),
      needed_bytes_(means.tier.volumes().size()) {}

WarmupSurvey::~WarmupSurvey() {
  means_.listed_room += static_cast<int64_t>(listed_.size());
}

Result<std::optional<std::vector<ObjectInfo>>> WarmupSurvey::NextPage(WarmupListing& listing) {
  const WarmupGate::Pass pass = means_.gate.Enter(0, stopped_);
  if (stopped_()) return Fail(Errc::kInterrupted, "it was stopped");
  return listing.Next(Deadline::After(means_.clock, means_.request_wait));
}

Result<> WarmupSurvey::Run(const std::function<void()>& between_pages) {
  // As it is now: it may change while a bucket is listed.
  const auto capacity_bytes = [this] {
    uint64_t bytes = 0;
    for (const auto& volume : means_.tier.volumes()) bytes += volume->capacity_bytes();
    return bytes;
  };
  WarmupListing listing = listing_;
  uint64_t needed_in_all = 0;
  for (int pages_past_room = 0; pages_past_room < kPagesPastRoom;) {
    const bool may_fit = pages_past_room == 0;
    if (may_fit && total_object_count_ > 0 && listing.has_more()) between_pages();
    WarmupListing before = listing;
    ASSIGN_OR_RETURN(const auto page, NextPage(listing));
    is_all_ = !page;
    if (is_all_) break;
    Keep(*page, std::move(before));
    for (const ObjectInfo& info : *page) needed_in_all += Count(info);
    if (needed_in_all > capacity_bytes()) ++pages_past_room;
  }
  is_directory_ = listing.is_directory();
  return {};
}

void WarmupSurvey::Keep(const std::vector<ObjectInfo>& page, WarmupListing before) {
  if (beyond_) return;
  const auto count = static_cast<int64_t>(page.size());
  // At least a page, whatever the others have.
  if (!listed_.empty() && means_.listed_room < count) {
    beyond_ = std::move(before);
    return;
  }
  means_.listed_room -= count;
  for (const ObjectInfo& info : page) listed_.push_back({info});
}

// What it needs of the cache.
uint64_t WarmupSurvey::Count(const ObjectInfo& info) {
  // What is there already must not give way to what is loaded before its turn comes.
  means_.tier.Favour(info.version);
  ++total_object_count_;
  total_bytes_ += info.version.size_bytes;
  if (info.storage_class != StorageClass::kReadable) return 0;
  const uint64_t bytes = means_.tier.BytesToKeep(info.version.size_bytes);
  needed_bytes_[means_.tier.PlaceOf(info.version)] += bytes;
  return bytes;
}

Result<> WarmupSurvey::CheckRoom() const {
  const Deadline deadline = Deadline::After(means_.clock, kLookWait);
  uint64_t needed_in_all = 0;
  uint64_t room_in_all = 0;
  std::string crowded;  // one directory of several
  bool fits = true;
  for (size_t i = 0; i < needed_bytes_.size(); ++i) {
    CacheVolume& volume = *means_.tier.volumes()[i];
    const uint64_t room_bytes = volume.RoomBytes(deadline);
    needed_in_all += needed_bytes_[i];
    room_in_all += room_bytes;
    if (needed_bytes_[i] <= room_bytes) continue;
    fits = false;
    if (needed_bytes_.size() > 1)
      crowded = "; " + InMiB(needed_bytes_[i]) + " of them are for " + volume.name() +
                ", which has room for " + InMiB(room_bytes);
  }
  if (fits && is_all_) return {};
  if (fits)
    return Fail(Errc::kBusy,
                "the cache became larger while the files were counted, and another try may do");
  return Fail(Errc::kNoSpace, "the files need " + std::string(is_all_ ? "" : "more than ") +
                                  InMiB(needed_in_all) + " of the cache, which has room for " +
                                  InMiB(room_in_all) + crowded);
}

}  // namespace shoal
