// What is read from a volume, and how it is known to be right.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "base/log.h"
#include "cache/cache_volume.h"

namespace shoal {
namespace {

constexpr size_t kTableEntriesAtOnce = 8192;
constexpr uint64_t kCheckBytesAtOnce = kMiB;
constexpr int kMappedLooks = 20;
constexpr Duration kMappedLooksEvery = std::chrono::milliseconds(1);

}  // namespace

CacheChunk CacheVolume::MakeChunk(uint64_t offset, uint64_t size_bytes) {
  return {.offset = offset, .size_bytes = size_bytes, .bytes = pool_.Take(size_bytes)};
}

bool CacheVolume::Load(const Use& use, Deadline deadline) {
  if (use->state() != CachedObject::State::kUnknown) return true;
  if (!health_.usable()) return false;
  RunInTime([this, object = use.object()] { LoadNow(*object); }, deadline);
  return use->state() != CachedObject::State::kUnknown;
}

void CacheVolume::LoadNow(CachedObject& object) {
  const MutexLock lock(object.write_mutex);
  if (object.state() != CachedObject::State::kUnknown) return;
  Result<std::unique_ptr<StoredObject>> stored = storage_->Open(object.name);
  if (!stored) {
    if (stored.error().code != Errc::kNotFound) return OnFailure(stored.error());
    return BecomeAbsent(object);
  }
  bool verified = false;
  {
    const MutexLock index_lock(mutex_);
    verified = index_.IsVerified(object.name);
  }
  const bool waits = object.size_bytes <= kCheckedAtOpenBytesMax;
  const bool asks_medium = verified || AsksTheMedium(**stored, waits);
  const Result<ObjectMeta> meta = ReadMeta(**stored);
  if (!meta && meta.error().code == Errc::kNotFound) {  // its first write never came
    if (const Result<> removed = storage_->Remove(object.name); !removed)
      return OnFailure(removed.error());
    return BecomeAbsent(object);
  }
  if (!meta && meta.error().code == Errc::kCorrupt) return PutAside(object, meta.error().detail);
  if (!meta) return OnBadSpot(object, meta.error());
  const bool ours = meta->identity == object.identity && meta->size_bytes == object.size_bytes &&
                    meta->page_bytes == object.page_bytes;
  if (!ours) {  // of another page size, or of another object with the same digest
    stored->reset();
    // Who has it open has its blocks: it stays counted until it can be evicted, and its name taken.
    if (StaysMapped(object.name)) return object.SetState(CachedObject::State::kGone);
    if (const Result<> removed = storage_->Remove(object.name); !removed)
      return OnFailure(removed.error());
    return BecomeAbsent(object);
  }
  object.written_in_sync = written_in_sync_.load();
  object.SetStored(*std::move(stored));
  if (!asks_medium) (waits ? object.distrusted : object.has_old_pages) = true;
  if (verified) {
    object.present.Add(0, object.page_count);
    object.checked.Add(0, object.page_count);
  } else {
    ReadTable(object);
  }
  // Only now: who finds it here asks at once which pages are.
  object.BecomeHere(CachedObject::State::kUnknown);
  (void)storage_->MarkUsed(object.name);  // for the order after a restart, no more
}

// The scrub has a file open for a moment as well.
bool CacheVolume::StaysMapped(const ObjectDigest& name) {
  for (int i = 0; i < kMappedLooks; ++i) {
    if (!storage_->IsMapped(name)) return false;
    std::this_thread::sleep_for(kMappedLooksEvery);
  }
  return true;
}

void CacheVolume::BecomeAbsent(CachedObject& object) {
  const MutexLock lock(mutex_);
  if (object.state() != CachedObject::State::kUnknown) return;
  RemoveFromIndex(object.name);
  object.SetState(CachedObject::State::kAbsent);
}

Result<ObjectMeta> CacheVolume::ReadMeta(StoredObject& stored) {
  MetaHeader header{};
  RETURN_IF_ERROR(stored.ReadMeta(0, header));
  if (std::ranges::all_of(header, [](std::byte byte) { return byte == std::byte{0}; }))
    return Fail(Errc::kNotFound, "no header");
  ASSIGN_OR_RETURN(ObjectMeta meta, DecodeMeta(header));
  ASSIGN_OR_RETURN(const uint64_t data_bytes, stored.DataBytes());
  if (data_bytes != meta.size_bytes) return Fail(Errc::kCorrupt, "it is not of its length");
  return meta;
}

void CacheVolume::ReadTable(CachedObject& object) {
  StoredObject& stored = *object.stored();
  std::vector<uint64_t> entries(std::min<uint64_t>(kTableEntriesAtOnce, object.page_count));
  for (uint64_t page = 0; page < object.page_count;) {
    // An object of which little is here has a table of which little is here.
    const Result<uint64_t> next = stored.NextMetaData(ChecksumOffset(page));
    if (!next) return OnBadSpot(object, next.error());
    const uint64_t first =
        (std::max(*next, kMetaHeaderBytes) - kMetaHeaderBytes) / sizeof(uint64_t);
    page = std::max(page, first);
    if (page >= object.page_count) return;
    const size_t count = std::min<uint64_t>(entries.size(), object.page_count - page);
    const auto read = std::span(entries).first(count);
    if (const Result<> got = stored.ReadMeta(ChecksumOffset(page), std::as_writable_bytes(read));
        !got)
      return OnBadSpot(object, got.error());
    for (const uint64_t checksum : read) {
      if (checksum != kNoChecksum) object.present.Add(page, 1);
      ++page;
    }
  }
}

bool CacheVolume::ReadNow(CachedObject& object, uint64_t offset, std::span<std::byte> out) {
  const ByteRange range{offset, out.size()};
  const uint64_t first = object.FirstPageOf(range);
  if (!object.distrusted && object.checked.Has(first, object.EndPageOf(range) - first)) {
    StoredObject* const stored = object.stored();
    // In memory it may be because another read brought it from the medium.
    return stored != nullptr && stored->ReadDataNow(offset, out) && ConfirmWritten(object);
  }
  return object.ReadPending(offset, out);
}

std::shared_ptr<const CacheChunk> CacheVolume::Read(const Use& use, ByteRange range,
                                                    Deadline deadline) {
  auto chunk = std::make_shared<CacheChunk>(MakeChunk(range.offset, range.length));
  if (ReadNow(*use, range.offset, {chunk->bytes.get(), chunk->size_bytes})) return chunk;
  if (!health_.usable()) return nullptr;
  // Owned by both sides: who gives up leaves it behind.
  const auto answer = std::make_shared<std::shared_ptr<const CacheChunk>>();
  const bool in_time = RunInTime(
      [this, object = use.object(), range, answer] { *answer = ReadChecked(*object, range); },
      deadline);
  return in_time ? *answer : nullptr;
}

std::shared_ptr<const CacheChunk> CacheVolume::ReadChecked(CachedObject& object, ByteRange range) {
  const uint64_t first = object.FirstPageOf(range);
  const uint64_t end = object.EndPageOf(range);
  StoredObject* const stored = object.stored();
  if (stored == nullptr || !object.present.Has(first, end - first)) return nullptr;
  const bool checked = !object.distrusted && object.checked.Has(first, end - first);
  const bool from_medium = !object.has_old_pages;  // before it is read
  const ByteRange pages = checked ? range : object.RangeOfPages(first, end);
  CacheChunk chunk = MakeChunk(pages.offset, pages.length);
  if (const Result<> read = stored->ReadData(pages.offset, {chunk.bytes.get(), chunk.size_bytes});
      !read) {
    OnBadSpot(object, read.error());
    return nullptr;
  }
  if (checked && !ConfirmWritten(object)) return nullptr;
  if (!checked && !Check(object, first, chunk.span(), from_medium)) return nullptr;
  if (pages == range) return std::make_shared<const CacheChunk>(std::move(chunk));
  CacheChunk part = MakeChunk(range.offset, range.length);
  std::memcpy(part.bytes.get(), chunk.bytes.get() + (range.offset - pages.offset), range.length);
  return std::make_shared<const CacheChunk>(std::move(part));
}

// `bytes` are whole pages that are present, from `first_page`. If they are not known to be what
// the medium has they are right for once.
bool CacheVolume::Check(CachedObject& object, uint64_t first_page, std::span<const std::byte> bytes,
                        bool from_medium) {
  const uint64_t page_count = PageCount(bytes.size(), object.page_bytes);
  std::vector<uint64_t> checksums(page_count);
  if (const Result<> read = object.stored()->ReadMeta(ChecksumOffset(first_page),
                                                      std::as_writable_bytes(std::span(checksums)));
      !read) {
    OnBadSpot(object, read.error());
    return false;
  }
  for (uint64_t i = 0; i < page_count; ++i) {
    const auto page =
        bytes.subspan(i * object.page_bytes,
                      std::min<size_t>(object.page_bytes, bytes.size() - i * object.page_bytes));
    if (PageChecksum(object.name, first_page + i, page) == checksums[i]) continue;
    PutAside(object, "page " + std::to_string(first_page + i) + " does not have its checksum");
    return false;
  }
  if (object.distrusted || !from_medium) return true;
  object.checked.Add(first_page, page_count);
  if (object.checked.full()) {
    const MutexLock lock(mutex_);
    NoteVerified(object);
  }
  return true;
}

// By now the name may be another object's files.
void CacheVolume::NoteVerified(const CachedObject& object) {
  const auto known = objects_.find(object.name);
  if (known != objects_.end() && known->second.get() == &object && !object.distrusted &&
      object.state() == CachedObject::State::kHere)
    index_.SetVerified(object.name);
}

void CacheVolume::RemoveFromIndex(const ObjectDigest& name) {
  index_.Remove(name);
  if (scrubbed_ == name) scrubbed_.reset();  // what is being compared is not there any more
}

bool CacheVolume::CheckAll(CachedObject& object, Pace pace) {
  const uint64_t pages_at_once = std::max<uint64_t>(kCheckBytesAtOnce / object.page_bytes, 1);
  for (uint64_t page = 0; page < object.page_count;) {
    {
      const MutexLock lock(mutex_);
      if (stopping_ || !health_.usable()) return false;
    }
    page = object.present.NextWith(page, object.page_count);
    const uint64_t end =
        object.present.NextWithout(page, std::min(object.page_count, page + pages_at_once));
    if (page == end) break;
    if (!object.checked.Has(page, end - page)) {
      const ByteRange range = object.RangeOfPages(page, end);
      if (ReadChecked(object, range) == nullptr) return false;
      if (pace != Pace::kForReader) DoWhatIsDue();
      if (pace == Pace::kScrub) {
        const MutexLock lock(mutex_);
        const auto until = CondVar::In(
            std::chrono::nanoseconds(range.length * 1'000'000'000 / kScrubBytesPerSecond));
        while (!stopping_ && to_check_.empty() && work_came_.WaitUntil(mutex_, until)) continue;
        if (stopping_ || !to_check_.empty()) return false;
      }
    }
    page = end;
  }
  return true;
}

// Nobody finds it here any more; who uses it goes elsewhere for what is not checked.
void CacheVolume::PutAside(CachedObject& object, const std::string& why) {
  std::shared_ptr<CachedObject> kept;  // its files are closed after the lock
  uint32_t block_count = 0;
  {
    const MutexLock lock(mutex_);
    if (object.state() == CachedObject::State::kGone) return;
    object.SetState(CachedObject::State::kGone);
    object.distrusted = true;  // for who still uses it: nothing else will say so
    const auto known = objects_.find(object.name);
    if (known != objects_.end()) {
      // The upkeep found it, or the name has new files by now: who uses it compares from now on.
      if (known->second.get() != &object && known->second->user_count > 0) {
        known->second->distrusted = true;
        index_.SetVerified(object.name, false);
        return;
      }
      known->second->SetState(CachedObject::State::kGone);
      idle_.erase(known->second->idle_since);
      kept = std::move(known->second);
      objects_.erase(known);
    } else if (scanned_ && !index_.Contains(object.name)) {
      return;  // a reader and the upkeep found the same, and the other was first
    }
    block_count = index_.block_count(object.name);
    RemoveFromIndex(object.name);
    leaving_block_count_ += block_count;
  }
  log::Warn("the cache at {} put {} aside, and will fetch it again: {}", storage_->name(),
            object.name.Hex(), why);
  const Result<> moved = storage_->Quarantine(object.name);
  metrics_.put_aside.Add();  // who sees it counted finds it there
  if (!moved) OnFailure(moved.error());
  const MutexLock lock(mutex_);
  leaving_block_count_ -= block_count;
  left_.NotifyAll();
  if (!moved && !index_.Contains(object.name))
    index_.Put(object.name, block_count);  // it takes room as before, and will be found again
}

// The medium failed where this object lies. Perhaps nowhere else: so it is not looked for there
// again.
void CacheVolume::OnBadSpot(CachedObject& object, const Error& error) {
  PutAside(object, error.detail);
  OnFailure(error);
}

void CacheVolume::OnFailure(const Error& error) {
  if (error.code == Errc::kNoSpace) {
    const MutexLock lock(mutex_);
    if (!was_full_.exchange(true))
      log::Warn("the cache at {} takes nothing more until there is room: {}", storage_->name(),
                error.detail);
    full_until_ = clock_.Now() + std::chrono::seconds(1);
    return;
  }
  met_errors_ = true;
  health_.OnFailure(error.detail);
}

}  // namespace shoal
