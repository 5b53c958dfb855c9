// What is written to a volume, and the room for it.
#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "cache/cache_volume.h"
#include "cache/counted_blocks.h"
#include "cache/options.h"

namespace shoal {
namespace {

// For what writing takes beside the bytes: their tree, the checksums, the directory.
constexpr uint64_t kOverheadBlocks = 4;
constexpr uint64_t kNewFilesBlocks = 4;
// The index names victims a few at a time; those it may not give are passed over.
constexpr int kVictimAttemptsMax = 16;
// The memory of one object at most, and some for what is counted at a start: 37 bytes in CacheIndex
// (cache_index.h), and on a shelf 17 in a table that is 3/8 full at least: 37 + 17 * 8 / 3 is 82.
constexpr uint64_t kIndexBytesOfObject = 96;
// How often others are chosen in place of victims that turn out to be mapped.
constexpr int kEvictionRoundsMax = 8;
// How long a write waits for what others are removing.
constexpr Duration kOthersLeaveWithin = std::chrono::milliseconds(250);

uint64_t BlocksFor(uint64_t bytes) {
  return (bytes + kCacheBlockBytes - 1) / kCacheBlockBytes;
}

Result<MetaHeader> HeaderOf(const CachedObject& object) {
  return EncodeMeta({.identity = object.identity,
                     .size_bytes = object.size_bytes,
                     .page_bytes = object.page_bytes});
}

}  // namespace

void CacheVolume::Write(CachedObject& object, const CacheChunk& chunk) {
  const MutexLock lock(object.write_mutex);
  const uint64_t first = chunk.offset / object.page_bytes;
  const uint64_t end = first + PageCount(chunk.size_bytes, object.page_bytes);
  for (uint64_t page = object.present.NextWithout(first, end); page < end;
       page = object.present.NextWithout(page, end)) {
    const uint64_t run_end = object.present.NextWith(page, end);
    const ByteRange run = object.RangeOfPages(page, run_end);
    const auto bytes = chunk.span().subspan(run.offset - chunk.offset, run.length);
    const Result<> written = WritePages(object, page, bytes);
    if (written) {
      metrics_.filled_bytes.Add(run.length);
      was_full_ = false;
    } else {
      metrics_.dropped_bytes.Add(run.length);
      // The object's own trouble is none of the medium. Files that cannot be made because their
      // directory is not there are.
      const Errc code = written.error().code;
      if (code == Errc::kUnreachable || code == Errc::kNoSpace ||
          (code == Errc::kNotFound && object.state() == CachedObject::State::kAbsent))
        OnFailure(written.error());
    }
    page = run_end;
  }
}

// kBusy: there is no room, or the object is not to be written.
Result<> CacheVolume::WritePages(CachedObject& object, uint64_t first_page,
                                 std::span<const std::byte> bytes) {
  using enum CachedObject::State;
  if (object.state() != kAbsent && object.state() != kHere)
    return Fail(Errc::kBusy, "it is gone, or nobody has looked yet");
  const bool is_new = object.state() == kAbsent;
  const uint64_t block_count =
      BlocksFor(bytes.size()) + kOverheadBlocks + (is_new ? kNewFilesBlocks : 0);
  if (!Reserve(block_count, is_new)) return Fail(Errc::kBusy, "no room");

  std::vector<uint64_t> checksums(PageCount(bytes.size(), object.page_bytes));
  for (uint64_t i = 0; i < checksums.size(); ++i) {
    const size_t begin = i * object.page_bytes;
    const auto page =
        bytes.subspan(begin, std::min<size_t>(object.page_bytes, bytes.size() - begin));
    checksums[i] = PageChecksum(object.name, first_page + i, page);
  }
  object.written_in_sync = sync_begun_.load();
  written_in_sync_ = sync_begun_.load();
  Result<> written = is_new ? MakeFiles(object) : Result<>();
  if (written) written = object.stored()->WriteData(first_page * object.page_bytes, bytes);
  // The checksums last: a page without one is not there.
  if (written) written = WriteChecksums(object, first_page, checksums);
  // A sync that began meanwhile may have passed it by.
  object.written_in_sync = sync_begun_.load();
  written_in_sync_ = sync_begun_.load();
  if (written) {
    object.present.Add(first_page, checksums.size());
    object.checked.Add(first_page, checksums.size());
  }
  Settle(object, block_count);
  return written;
}

Result<> CacheVolume::MakeFiles(CachedObject& object) {
  RETURN_IF_ERROR(HeaderOf(object));  // one that has none gets no files
  ASSIGN_OR_RETURN(std::unique_ptr<StoredObject> stored,
                   storage_->Create(object.name, object.size_bytes));
  {
    // What is known of the files that had the name, or is being found out, is not of these.
    const MutexLock lock(mutex_);
    if (scrubbed_ == object.name) scrubbed_.reset();
    index_.SetVerified(object.name, false);
  }
  object.has_header = false;
  object.SetStored(std::move(stored));
  if (!object.BecomeHere(CachedObject::State::kAbsent))
    return Fail(Errc::kBusy, "another object has its name by now");
  return {};
}

// With the header before them if it is not there yet: in one write, where they adjoin.
Result<> CacheVolume::WriteChecksums(CachedObject& object, uint64_t first_page,
                                     std::span<const uint64_t> checksums) {
  const std::span<const std::byte> bytes = std::as_bytes(checksums);
  StoredObject& stored = *object.stored();
  if (object.has_header) return stored.WriteMeta(ChecksumOffset(first_page), bytes);
  ASSIGN_OR_RETURN(const MetaHeader header, HeaderOf(object));
  std::vector<std::byte> start(header.begin(), header.end());
  if (first_page == 0) start.insert(start.end(), bytes.begin(), bytes.end());
  RETURN_IF_ERROR(stored.WriteMeta(0, start));
  object.has_header = true;
  return first_page == 0 ? Result<>() : stored.WriteMeta(ChecksumOffset(first_page), bytes);
}

uint64_t CacheVolume::BytesToKeep(uint64_t size_bytes, uint32_t page_bytes) {
  const uint64_t page_count = PageCount(size_bytes, page_bytes);
  return (BlocksFor(size_bytes) + BlocksFor(ChecksumOffset(page_count)) +
          TreeBlocksFor(page_count)) *
         kCacheBlockBytes;
}

// As many as the memory for them is enough for; a few that come at the same moment are not
// counted against it.
uint64_t CacheVolume::ObjectCountMax() const {
  const uint64_t bytes = std::max(options_.index_bytes_max, IndexBytesMin(capacity_bytes_));
  return std::min<uint64_t>(bytes / kIndexBytesOfObject, CacheIndex::kObjectsMax);
}

// Takes room, which others give way for. False: they do not, as they are in use, or the
// medium is full of what is not ours.
bool CacheVolume::Reserve(uint64_t block_count, bool is_new) {
  for (int round = 0; round < kEvictionRoundsMax; ++round) {
    const Result<CacheStorage::Room> room = storage_->GetRoom();
    if (!room) {
      OnFailure(room.error());
      return false;
    }
    const uint64_t floor_bytes = std::min(free_bytes_min_.load(), room->total_bytes / 20);
    const uint64_t free_needed_bytes = floor_bytes + block_count * kCacheBlockBytes;
    const uint64_t missing_bytes =
        free_needed_bytes > room->free_bytes ? free_needed_bytes - room->free_bytes : 0;
    std::vector<Victim> victims;
    bool granted = false;
    {
      const MutexLock lock(mutex_);
      if (clock_.Now() < full_until_) return false;
      // What goes at a start takes a while, and its room until then.
      if (block_count > 0 && removes_too_many_ &&
          BlocksUsed() + promised_block_count_ + block_count > capacity_bytes_ / kCacheBlockBytes)
        return false;
      granted = ChooseVictims({.block_count = block_count,
                               .object_count = is_new ? uint64_t{1} : 0,
                               .free_bytes = missing_bytes},
                              victims);
      if (granted) promised_block_count_ += block_count;
    }
    uint64_t chosen_block_count = 0;
    for (const Victim& victim : victims) chosen_block_count += victim.block_count;
    // What others are removing makes room as well, for whoever looks first once it is gone.
    const bool looks_again = missing_bytes > chosen_block_count * kCacheBlockBytes;
    const bool all_went = Evict(std::move(victims));
    if (!granted) return false;
    const MutexLock lock(mutex_);
    const auto is_free = [&]() REQUIRES(mutex_) {
      return BlocksUsed() + block_count <= capacity_bytes_ / kCacheBlockBytes &&
             (!looks_again || leaving_block_count_ == 0);
    };
    // What others are removing is theirs to remove; its room counts once it is gone.
    const auto until = CondVar::In(kOthersLeaveWithin);
    const auto left = [&]() REQUIRES(mutex_) { return leaving_block_count_ == 0 || is_free(); };
    while (!left() && !removes_too_many_ && left_.WaitUntil(mutex_, until)) continue;
    const bool has_left = left();
    promised_block_count_ -= block_count;
    if (all_went && is_free() && !looks_again) {
      reserved_block_count_ += block_count;
      return true;
    }
    if (!has_left) return false;
  }
  return false;
}

// What leaves is on the medium until it is gone.
uint64_t CacheVolume::BlocksUsed() const {
  return index_.total_blocks() + reserved_block_count_ + leaving_block_count_ +
         storage_->own_block_count();
}

bool CacheVolume::IsKnown(const ObjectDigest& name) {
  const MutexLock lock(mutex_);
  return index_.Contains(name);
}

// False: some could not be removed, or are mapped. They count as new.
bool CacheVolume::Evict(std::vector<Victim> victims) {
  bool all_went = true;
  for (Victim& victim : victims) {
    victim.object.reset();  // its files are closed
    // Fetched again meanwhile: what was to go went when files were made anew.
    bool went = IsKnown(victim.name);
    const bool is_mapped = !went && storage_->IsMapped(victim.name);
    if (!went && !is_mapped) {
      const Result<> removed = storage_->Remove(victim.name);
      if (!removed) OnFailure(removed.error());
      went = removed.has_value();
    }
    if (went) metrics_.evicted_bytes.Add(victim.block_count * kCacheBlockBytes);
    all_went = all_went && went;
    const MutexLock lock(mutex_);
    leaving_block_count_ -= victim.block_count;
    left_.NotifyAll();
    // Somebody opened it meanwhile, and may have begun other files of its name.
    if (went || index_.Contains(victim.name)) continue;
    index_.Put(victim.name, victim.block_count);
    // Of what could not be removed some may be gone.
    if (victim.is_verified && is_mapped && !lost_writes_ && !objects_.contains(victim.name))
      index_.SetVerified(victim.name);
  }
  return all_went;
}

bool CacheVolume::ChooseVictims(const Wanted& wanted, std::vector<Victim>& victims) {
  const uint64_t limit = capacity_bytes_ / kCacheBlockBytes;
  const uint64_t object_count_max = ObjectCountMax();
  const uint64_t own_block_count = storage_->own_block_count();
  const auto in_use = [this](const ObjectDigest& name) REQUIRES(mutex_) {
    const auto found = objects_.find(name);
    return found != objects_.end() && found->second->user_count > 0;
  };
  if (index_.object_count() + wanted.object_count > object_count_max &&
      !said_many_objects_.exchange(true))
    log::Warn(
        "the cache at {} has {} objects, as many as there is memory to know: others give way to "
        "new ones, though there may be room",
        storage_->name(), index_.object_count());
  int attempts = 0;
  while (true) {
    // What leaves, for others as well, is as good as gone.
    const uint64_t staying =
        index_.total_blocks() + reserved_block_count_ + promised_block_count_ + own_block_count;
    if (staying + wanted.block_count <= limit &&
        index_.object_count() + wanted.object_count <= object_count_max &&
        leaving_block_count_ * kCacheBlockBytes >= wanted.free_bytes)
      return true;
    if (victims.size() == kAtOnceMax) return false;
    const std::optional<ObjectDigest> victim = index_.Victim(in_use);
    if (!victim) {
      if (++attempts == kVictimAttemptsMax) return false;
      continue;
    }
    victims.push_back(TakeOut(*victim, index_.block_count(*victim), index_.IsVerified(*victim)));
    RemoveFromIndex(*victim);
  }
}

CacheVolume::Victim CacheVolume::TakeOut(const ObjectDigest& name, uint32_t block_count,
                                         bool is_verified) {
  Victim victim{name, block_count, is_verified, nullptr};
  const auto known = objects_.find(name);
  if (known != objects_.end()) {
    known->second->SetState(CachedObject::State::kGone);
    idle_.erase(known->second->idle_since);
    victim.object = std::move(known->second);
    objects_.erase(known);
  }
  leaving_block_count_ += block_count;
  return victim;
}

// From what was reserved to what it takes.
void CacheVolume::Settle(CachedObject& object, uint64_t reserved_block_count) {
  const bool here = object.state() == CachedObject::State::kHere;
  const Result<uint64_t> block_count =
      here ? object.stored()->BlockCount() : Result<uint64_t>(uint64_t{0});
  const MutexLock lock(mutex_);
  reserved_block_count_ -= reserved_block_count;
  const auto known = objects_.find(object.name);
  if (!here || !block_count || object.state() != CachedObject::State::kHere ||
      known == objects_.end() || known->second.get() != &object)
    return;
  index_.Put(object.name,
             static_cast<uint32_t>(*block_count + TreeBlocksFor(object.present.count())));
  if (object.checked.full() && !object.distrusted) index_.SetVerified(object.name);
}

}  // namespace shoal
