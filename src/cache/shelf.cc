// The objects of a shelf: what it is asked for.
#include "cache/shelf.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "base/clock.h"
#include "cache/shelf_slot.h"

namespace shoal {
namespace {

// More uses than this that are not written yet are forgotten: they only order what is there at a
// start.
constexpr size_t kUsedNotedMax = 4096;

uint32_t Now() {
  return static_cast<uint32_t>(SystemClock().UnixSeconds());
}

}  // namespace

class Shelf::Slot final : public ShelfSlot {
 public:
  Slot(Shelf& shelf, const ShelfPlace& place)
      : ShelfSlot(place, shelf.shown_, shelf.in_memory_, shelf.read_fd_, shelf.write_fd_),
        shelf_(shelf) {}
  ~Slot() override { shelf_.EndUse(place()); }

 private:
  Result<> PrepareToWrite() override { return shelf_.PrepareToWrite(); }

  Shelf& shelf_;
};

Shelf::Shelf(int folder_fd, std::string name, std::string shown, BlockSum& sum, bool in_memory)
    : folder_fd_(folder_fd),
      name_(std::move(name)),
      shown_(std::move(shown)),
      in_memory_(in_memory),
      sum_(sum) {}

Result<std::unique_ptr<StoredObject>> Shelf::Open(const ObjectDigest& name) {
  RETURN_IF_ERROR(Load());
  const MutexLock lock(mutex_);
  const auto found = places_.find(TagOf(name));
  if (found == places_.end()) return Fail(Errc::kNotFound, "not on its shelf: " + name.Hex());
  Users& users = users_[found->second.first_block];
  users.place = found->second;
  ++users.count;
  return std::make_unique<Slot>(*this, found->second);
}

Result<std::unique_ptr<StoredObject>> Shelf::Create(const ObjectDigest& name, uint64_t size_bytes) {
  RETURN_IF_ERROR(Remove(name));
  RETURN_IF_ERROR(PrepareToWrite());
  ShelfPlace place{.size_bytes = static_cast<uint32_t>(size_bytes)};
  {
    const MutexLock lock(mutex_);
    if (end_block_ + place.block_count() > kShelfBlocksMax)
      return Fail(Errc::kBusy, shown_ + " takes no more");
    // Another thread may have made one since.
    const std::optional<Taken> before = TakeAway(TagOf(name));
    if (before && !before->in_use) {
      holes_left_.push_back(before->place);
      left_block_count_ += before->place.block_count();
    }
    place.first_block = static_cast<uint32_t>(end_block_);
    end_block_ = place.end_block();
    placed_block_count_ += place.block_count();
    places_.emplace(TagOf(name), place);
    users_[place.first_block] = {.count = 1, .removed = false, .place = place};
  }
  auto slot = std::make_unique<Slot>(*this, place);
  Result<> noted = Lengthen(place);
  if (noted)
    noted = Append(
        {.kind = ShelfEntry::Kind::kPlaced, .name = name, .place = place, .unix_seconds = Now()});
  if (!noted) {
    (void)Remove(name);  // the reason is the first failure
    return tl::unexpected(noted.error());
  }
  CountBlocks();
  return slot;
}

Result<bool> Shelf::Remove(const ObjectDigest& name) {
  RETURN_IF_ERROR(Load());
  MakeHolesLeft();
  std::optional<Taken> taken;
  {
    const MutexLock lock(mutex_);
    taken = TakeAway(TagOf(name));
  }
  if (!taken) return false;
  const ShelfPlace place = taken->place;
  if (!taken->in_use) {
    if (const Result<> made = MakeHole(place.first_block, place.end_block()); !made) {
      const MutexLock lock(mutex_);
      // It takes its room as before. Another may have its name by now; then it is nobody's.
      const bool is_back = places_.try_emplace(TagOf(name), place).second;
      (is_back ? placed_block_count_ : left_block_count_) += place.block_count();
      if (!is_back) holes_left_.push_back(place);
      return tl::unexpected(made.error());
    }
  }
  // It is gone, whatever comes of this: an entry of a hole is nobody's.
  (void)Append(
      {.kind = ShelfEntry::Kind::kDropped, .name = name, .place = place, .unix_seconds = Now()});
  CountBlocks();
  return true;
}

std::optional<Shelf::Taken> Shelf::TakeAway(Tag tag) {
  const auto found = places_.find(tag);
  if (found == places_.end()) return std::nullopt;
  Taken taken{.place = found->second, .in_use = false};
  places_.erase(found);
  // Its memory is counted. One that has just grown is 7/16 full.
  if (places_.size() < places_.bucket_count() * 3 / 8) places_.rehash(0);
  placed_block_count_ -= taken.place.block_count();
  const auto users = users_.find(taken.place.first_block);
  taken.in_use = users != users_.end();
  if (taken.in_use) {
    users->second.removed = true;
    left_block_count_ += taken.place.block_count();
  }
  return taken;
}

Result<bool> Shelf::MarkUsed(const ObjectDigest& name) {
  RETURN_IF_ERROR(Load());
  const MutexLock lock(mutex_);
  const auto found = places_.find(TagOf(name));
  if (found == places_.end()) return false;
  if (used_.size() < kUsedNotedMax)
    used_.push_back({.kind = ShelfEntry::Kind::kUsed,
                     .name = name,
                     .place = found->second,
                     .unix_seconds = Now()});
  return true;
}

std::optional<ShelfPlace> Shelf::Find(const ObjectDigest& name) {
  const MutexLock lock(mutex_);
  const auto found = places_.find(TagOf(name));
  if (found == places_.end()) return std::nullopt;
  return found->second;
}

void Shelf::EndUse(const ShelfPlace& place) {
  const MutexLock lock(mutex_);
  const auto users = users_.find(place.first_block);
  if (--users->second.count > 0) return;
  if (users->second.removed) holes_left_.push_back(place);
  users_.erase(users);
}

size_t Shelf::memory_bytes() {
  const MutexLock lock(mutex_);
  // The table keeps a byte beside each of its slots.
  return sizeof(*this) + places_.bucket_count() * (sizeof(std::pair<Tag, ShelfPlace>) + 1);
}

Result<bool> Shelf::Scan(bool clean, const std::function<bool(const CacheStorage::Found&)>& visit) {
  RETURN_IF_ERROR(Load());
  if (read_fd_ < 0) return true;  // nothing was ever placed here
  MakeHolesLeft();
  if (clean) unlinkat(folder_fd_, FileName(kNewLogSuffix).c_str(), 0);
  ASSIGN_OR_RETURN(const std::vector<std::byte> log, ReadLog());
  for (const ShelfEntry& entry : ReplayShelfLog(log).placed) {
    if (Find(entry.name) != entry.place) continue;
    if (!visit({.name = entry.name,
                .block_count = entry.place.block_count(),
                .used_unix_seconds = entry.unix_seconds}))
      return false;
  }
  struct stat bytes {};
  if (clean && fstat(read_fd_, &bytes) == 0) {
    const Result<> given_back = GiveBackTheRest(
        (static_cast<uint64_t>(bytes.st_size) + kCacheBlockBytes - 1) / kCacheBlockBytes);
    // A full medium may have no room to note a hole; what is here counts all the same.
    if (!given_back && given_back.error().code != Errc::kNoSpace)
      return tl::unexpected(given_back.error());
  }
  CountBlocks();
  return true;
}

}  // namespace shoal
