// The two files of a shelf: how they are opened or made, and how the log is read and written.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "cache/guarded_files.h"
#include "cache/shelf.h"

namespace shoal {
namespace {

constexpr int kOpenFlags = O_NOFOLLOW | O_NONBLOCK | O_NOATIME;
// A log with more than this beside twice its objects is written anew without what is over.
constexpr uint64_t kIdleEntriesMax = 16384;
// Larger than one of ours gets; it is not read.
constexpr uint64_t kLogBytesMax = 512 * kMiB;
// A log that cannot be read so often, while the medium passed its trials in between, lies on a
// bad spot: what it names is given up, for the other shelves' sake.
constexpr int kFailedLoadsMax = 4;
constexpr uint64_t kLengthenedByBlocks = 1024;

uint64_t LogBlocksFor(uint64_t entry_count) {
  return (entry_count * kShelfEntryBytes + kCacheBlockBytes - 1) / kCacheBlockBytes;
}

// What lies behind an object is another's, and perhaps not on the medium yet: nobody would notice
// if the kernel read it too early (cache_volume_trust.cc).
void ReadNoFurther(int fd) {
  (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
}

}  // namespace

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

Result<> Shelf::Append(const ShelfEntry& entry) {
  const MutexLock lock(file_mutex_);
  return AppendAll({entry});
}

Result<> Shelf::AppendAll(const std::vector<ShelfEntry>& entries) {
  RETURN_IF_ERROR(MakeWritable());
  if (log_is_ragged_ &&
      ftruncate(log_.get(), static_cast<off_t>(log_entry_count_ * kShelfEntryBytes)) != 0)
    return FailSystem("cutting the index of " + shown_);
  log_is_ragged_ = false;
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

bool Shelf::LogIsLong() const {
  return log_entry_count_ > 2 * places_.size() + kIdleEntriesMax;
}

uint64_t Shelf::LogBlocksWanted() const {
  // What was noted has room where the old one was.
  if (LogIsLong()) return LogBlocksFor(places_.size());
  return LogBlocksFor(log_entry_count_ + used_.size()) - LogBlocksFor(log_entry_count_);
}

uint64_t Shelf::BlocksToPutInOrder() {
  const MutexLock lock(file_mutex_);
  const MutexLock places_lock(mutex_);
  return LogBlocksWanted();
}

Result<> Shelf::PutInOrder(uint64_t block_count_max) {
  MakeHolesLeft();
  Result<> done = PutLogInOrder(block_count_max);
  CountBlocks();
  return done;
}

Result<> Shelf::PutLogInOrder(uint64_t block_count_max) {
  const MutexLock lock(file_mutex_);
  std::vector<ShelfEntry> used;
  bool is_long = false;
  {
    const MutexLock places_lock(mutex_);
    is_long = LogIsLong();
    if (LogBlocksWanted() > block_count_max || (!is_long && used_.empty())) return {};
    used.swap(used_);
  }
  if (is_long) RETURN_IF_ERROR(RewriteLog());
  return used.empty() ? Result<>() : AppendAll(used);
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
               FileName(kLogSuffix).c_str()) != 0) {
    Result<> failed = FailSystem("making the index of " + shown_ + " anew");
    unlinkat(folder_fd_, FileName(kNewLogSuffix).c_str(), 0);
    return failed;
  }
  log_ = std::move(fresh);
  log_entry_count_ = rewritten.size() / kShelfEntryBytes;
  log_is_ragged_ = false;
  return {};
}

}  // namespace shoal
