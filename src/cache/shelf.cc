#include "cache/shelf.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/guarded_files.h"
#include "cache/shelf_slot.h"

namespace shoal {
namespace {

constexpr int kOpenFlags = O_NOFOLLOW | O_NONBLOCK | O_NOATIME;
constexpr char kBytesSuffix[] = ".bytes";
constexpr char kLogSuffix[] = ".index";
constexpr char kNewLogSuffix[] = ".index.new";
// A log with more than this beside twice its objects is written anew without what is over.
constexpr uint64_t kIdleEntriesMax = 16384;
// Larger than one of ours gets; it is not read.
constexpr uint64_t kLogBytesMax = 512 * kMiB;
// A log that cannot be read so often, while the medium passed its trials in between, lies on a
// bad spot: what it names is given up, for the other shelves' sake.
constexpr int kFailedLoadsMax = 4;
constexpr uint64_t kLengthenedByBlocks = 1024;
// More uses than this between two writes are forgotten: they only order what is there at a start.
constexpr size_t kUsedNotedMax = 4096;

// What lies behind an object is another's, and perhaps not on the medium yet: nobody would notice
// if the kernel read it too early (cache_volume_trust.cc).
void ReadNoFurther(int fd) {
  (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
}

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

Shelf::Shelf(int folder_fd, std::string name, std::string shown, bool in_memory)
    : folder_fd_(folder_fd),
      name_(std::move(name)),
      shown_(std::move(shown)),
      in_memory_(in_memory) {}

Shelf::~Shelf() {
  bool anything = false;
  {
    const MutexLock lock(mutex_);
    anything = !used_.empty();
  }
  if (anything) (void)Append({});
}

// --- Objects

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
    if (before && !before->in_use) holes_left_.push_back(before->place);
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
        {{.kind = ShelfEntry::Kind::kPlaced, .name = name, .place = place, .unix_seconds = Now()}});
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
      // It takes its room as before. Another may have its name by now; then it is nobody's,
      // and is given back at the next start.
      if (places_.try_emplace(TagOf(name), place).second)
        placed_block_count_ += place.block_count();
      return tl::unexpected(made.error());
    }
  }
  // It is gone, whatever comes of this: an entry of a hole is nobody's.
  (void)Append(
      {{.kind = ShelfEntry::Kind::kDropped, .name = name, .place = place, .unix_seconds = Now()}});
  CountBlocks();
  return true;
}

std::optional<Shelf::Taken> Shelf::TakeAway(Tag tag) {
  const auto found = places_.find(tag);
  if (found == places_.end()) return std::nullopt;
  Taken taken{.place = found->second, .in_use = false};
  places_.erase(found);
  if (places_.size() < places_.bucket_count() / 8) places_.rehash(0);  // its memory is counted
  placed_block_count_ -= taken.place.block_count();
  const auto users = users_.find(taken.place.first_block);
  taken.in_use = users != users_.end();
  if (taken.in_use) users->second.removed = true;
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

// --- Blocks

Result<> Shelf::MakeHole(uint64_t first_block, uint64_t end_block) {
  RETURN_IF_ERROR(PrepareToWrite());
  const auto offset = static_cast<off_t>(first_block * kCacheBlockBytes);
  const auto length = static_cast<off_t>((end_block - first_block) * kCacheBlockBytes);
  while (fallocate(write_fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) != 0)
    if (errno != EINTR) return FailSystem("giving back room of " + shown_);
  return {};
}

void Shelf::MakeHolesLeft() {
  std::vector<ShelfPlace> left;
  {
    const MutexLock lock(mutex_);
    left.swap(holes_left_);
  }
  // In vain, they are made at the next start.
  for (const ShelfPlace& place : left) (void)MakeHole(place.first_block, place.end_block());
}

// What lies between the places.
Result<> Shelf::GiveBackTheRest(uint64_t file_blocks) {
  std::vector<ShelfPlace> kept;
  {
    const MutexLock lock(mutex_);
    for (const auto& [tag, place] : places_) kept.push_back(place);
    for (const auto& [first_block, users] : users_)
      if (users.removed) kept.push_back(users.place);
  }
  std::ranges::sort(kept, {}, &ShelfPlace::first_block);
  uint64_t gap_begin = 0;
  const auto close_gap = [&](uint64_t gap_end) -> Result<> {
    if (gap_begin >= gap_end) return {};
    const off_t data = lseek(read_fd_, static_cast<off_t>(gap_begin * kCacheBlockBytes), SEEK_DATA);
    if (data < 0 || static_cast<uint64_t>(data) >= gap_end * kCacheBlockBytes) return {};
    return MakeHole(gap_begin, gap_end);
  };
  for (const ShelfPlace& place : kept) {
    RETURN_IF_ERROR(close_gap(place.first_block));
    gap_begin = place.end_block();
  }
  return close_gap(file_blocks);
}

void Shelf::CountBlocks() {
  struct stat bytes {};
  struct stat log {};
  const bool known =
      fstat(read_fd_, &bytes) == 0 &&
      fstatat(folder_fd_, FileName(kLogSuffix).c_str(), &log, AT_SYMLINK_NOFOLLOW) == 0;
  if (!known) return;
  const MutexLock lock(mutex_);
  // Places that are not written yet take less than they were promised.
  const uint64_t taken = BlocksOf(bytes);
  const uint64_t beyond = taken > placed_block_count_ ? taken - placed_block_count_ : 0;
  own_block_count_.store(beyond + BlocksOf(log), std::memory_order_relaxed);
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

// --- The files

Result<> Shelf::Load() {
  if (loaded_.load(std::memory_order_acquire)) return {};
  const MutexLock lock(file_mutex_);
  if (loaded_.load(std::memory_order_acquire)) return {};
  RETURN_IF_ERROR(LoadNow());
  loaded_.store(true, std::memory_order_release);
  return {};
}

Result<> Shelf::LoadNow() {
  FileDescriptor bytes =
      OpenBelow(folder_fd_, FileName(kBytesSuffix).c_str(), O_RDONLY | kOpenFlags);
  if (!bytes.valid() && errno == ENOENT) return {};
  struct stat bytes_stat {};
  if (!bytes.valid() || !IsOurs(bytes.get(), bytes_stat)) {
    if (bytes.valid() || SystemError("").code == Errc::kInvalid) return StartOver();
    return FailSystem("opening " + shown_);
  }
  Result<std::vector<std::byte>> log = ReadLog();
  if (!log && log.error().code == Errc::kUnreachable && ++failed_load_count_ < kFailedLoadsMax)
    return tl::unexpected(log.error());
  if (!log) return StartOver();
  const ShelfContents contents = ReplayShelfLog(*log);
  const uint64_t end_block = std::max(
      contents.end_block,
      (static_cast<uint64_t>(bytes_stat.st_size) + kCacheBlockBytes - 1) / kCacheBlockBytes);
  // Far behind what it can number: better to begin again now than to be full one day.
  if (end_block > kShelfBlocksMax / 2) return StartOver();
  length_blocks_ = static_cast<uint64_t>(bytes_stat.st_size) / kCacheBlockBytes;
  log_entry_count_ = log->size() / kShelfEntryBytes;
  log_is_ragged_ = log->size() % kShelfEntryBytes != 0;
  ReadNoFurther(bytes.get());
  bytes_to_read_ = std::move(bytes);
  read_fd_ = bytes_to_read_.get();
  const MutexLock lock(mutex_);
  end_block_ = end_block;
  places_.reserve(contents.placed.size());
  for (const ShelfEntry& entry : contents.placed) {
    places_.insert_or_assign(TagOf(entry.name), entry.place);
    placed_block_count_ += entry.place.block_count();
  }
  return {};
}

Result<> Shelf::StartOver() {
  log::Warn("{}.index cannot be read, is not as it was made, or is full: it begins again, empty",
            shown_);
  for (const char* const suffix : {kBytesSuffix, kLogSuffix, kNewLogSuffix})
    if (unlinkat(folder_fd_, FileName(suffix).c_str(), 0) != 0 && errno != ENOENT &&
        (errno != EISDIR || unlinkat(folder_fd_, FileName(suffix).c_str(), AT_REMOVEDIR) != 0))
      return FailSystem("removing what is in the place of " + shown_);
  return {};
}

Result<> Shelf::PrepareToWrite() {
  if (write_fd_ >= 0) return {};
  const MutexLock lock(file_mutex_);
  return MakeWritable();
}

Result<> Shelf::MakeWritable() {
  if (write_fd_ >= 0) return {};
  if (has_no_holes_) return Fail(Errc::kBusy, shown_ + ": the file system makes no holes");
  const bool is_new = !bytes_to_read_.valid();
  const int create = is_new ? O_CREAT | O_EXCL : 0;
  FileDescriptor bytes = OpenBelow(folder_fd_, FileName(kBytesSuffix).c_str(),
                                   O_RDWR | kOpenFlags | create, is_new ? 0600 : 0);
  struct stat now {};
  struct stat before {};
  if (!bytes.valid()) return FailSystem("opening " + shown_);
  if (!IsOurs(bytes.get(), now) ||
      (!is_new && (fstat(bytes_to_read_.get(), &before) != 0 || now.st_ino != before.st_ino)))
    return Fail(Errc::kNotFound, shown_ + " is no longer the file it was");
  if (is_new && fallocate(bytes.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                          kCacheBlockBytes) != 0) {
    has_no_holes_ = errno == EOPNOTSUPP || errno == ENOSYS;
    const Error error = SystemError("making " + shown_);
    unlinkat(folder_fd_, FileName(kBytesSuffix).c_str(), 0);
    return tl::unexpected(has_no_holes_ ? Error{Errc::kBusy, error.detail} : error);
  }
  // A log without its bytes is of nothing that is here.
  if (is_new) unlinkat(folder_fd_, FileName(kLogSuffix).c_str(), 0);
  log_ = OpenBelow(folder_fd_, FileName(kLogSuffix).c_str(),
                   O_WRONLY | O_APPEND | O_CREAT | kOpenFlags, 0600);
  if (!log_.valid() || !IsOurs(log_.get(), now)) {
    Result<> failed = FailSystem("opening the index of " + shown_);
    if (is_new) unlinkat(folder_fd_, FileName(kBytesSuffix).c_str(), 0);
    return failed;
  }
  ReadNoFurther(bytes.get());
  bytes_ = std::move(bytes);
  write_fd_ = bytes_.get();
  if (is_new) read_fd_ = bytes_.get();
  return {};
}

Result<> Shelf::Lengthen(const ShelfPlace& place) {
  const MutexLock lock(file_mutex_);
  if (place.end_block() <= length_blocks_) return {};
  const uint64_t blocks = (place.end_block() / kLengthenedByBlocks + 1) * kLengthenedByBlocks;
  if (ftruncate(write_fd_, static_cast<off_t>(blocks * kCacheBlockBytes)) != 0)
    return FailSystem("lengthening " + shown_);
  length_blocks_ = blocks;
  return {};
}

Result<std::vector<std::byte>> Shelf::ReadLog() {
  const FileDescriptor log =
      OpenBelow(folder_fd_, FileName(kLogSuffix).c_str(), O_RDONLY | kOpenFlags);
  struct stat found {};
  if (!log.valid()) return FailSystem("opening the index of " + shown_);
  if (!IsOurs(log.get(), found) || static_cast<uint64_t>(found.st_size) > kLogBytesMax)
    return Fail(Errc::kInvalid, "the index of " + shown_ + " is not as it was made");
  std::vector<std::byte> bytes(static_cast<size_t>(found.st_size));
  RETURN_IF_ERROR(ReadAt(log.get(), 0, bytes, "the index of " + shown_));
  return bytes;
}

Result<> Shelf::Append(std::vector<ShelfEntry> entries) {
  const MutexLock lock(file_mutex_);
  RETURN_IF_ERROR(MakeWritable());
  size_t placed_count = 0;
  {
    const MutexLock places_lock(mutex_);
    placed_count = places_.size();
    entries.insert(entries.begin(), used_.begin(), used_.end());
    used_.clear();
  }
  if (log_is_ragged_ || log_entry_count_ > 2 * placed_count + kIdleEntriesMax) {
    Result<> rewritten = RewriteLog();
    if (!rewritten && log_is_ragged_) return rewritten;
  }
  std::vector<std::byte> encoded;
  for (const ShelfEntry& entry : entries) {
    const EncodedShelfEntry one = EncodeShelfEntry(entry);
    encoded.insert(encoded.end(), one.begin(), one.end());
  }
  const ssize_t written = write(log_.get(), encoded.data(), encoded.size());
  if (written == static_cast<ssize_t>(encoded.size())) {
    log_entry_count_ += entries.size();
    return {};
  }
  if (written >= 0) {
    log_is_ragged_ = true;
    errno = ENOSPC;
  }
  return FailSystem("writing the index of " + shown_);
}

Result<> Shelf::RewriteLog() {
  ASSIGN_OR_RETURN(const std::vector<std::byte> log, ReadLog());
  std::vector<std::byte> rewritten;
  for (const ShelfEntry& entry : ReplayShelfLog(log).placed) {
    if (Find(entry.name) != entry.place) continue;
    const EncodedShelfEntry encoded = EncodeShelfEntry(entry);
    rewritten.insert(rewritten.end(), encoded.begin(), encoded.end());
  }
  unlinkat(folder_fd_, FileName(kNewLogSuffix).c_str(), 0);
  FileDescriptor fresh = OpenBelow(folder_fd_, FileName(kNewLogSuffix).c_str(),
                                   O_WRONLY | O_APPEND | O_CREAT | O_EXCL | kOpenFlags, 0600);
  if (!fresh.valid()) return FailSystem("making the index of " + shown_ + " anew");
  Result<> written = WriteAt(fresh.get(), 0, rewritten, "the index of " + shown_);
  // Not every file system writes a file out before its new name: XFS could be left with an empty
  // index after a power loss, and what the old one knew would be gone.
  if (written) written = SyncFile(fresh.get(), "the index of " + shown_);
  if (!written) {  // it would take the last of the room
    unlinkat(folder_fd_, FileName(kNewLogSuffix).c_str(), 0);
    return written;
  }
  if (renameat(folder_fd_, FileName(kNewLogSuffix).c_str(), folder_fd_,
               FileName(kLogSuffix).c_str()) != 0)
    return FailSystem("making the index of " + shown_ + " anew");
  log_ = std::move(fresh);
  log_entry_count_ = rewritten.size() / kShelfEntryBytes;
  log_is_ragged_ = false;
  return {};
}

}  // namespace shoal
