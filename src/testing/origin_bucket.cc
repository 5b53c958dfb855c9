#include "testing/origin_bucket.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>

#include "origin/crc64.h"
#include "origin/text_values.h"
#include "testing/origin_digest.h"

namespace shoal::embedded {
namespace {

constexpr std::string_view kRecordTitle = "shoal-origin-record 1";
constexpr size_t kRecordBytesMax = 256 << 10;
constexpr size_t kKeyBytesMax = 64 << 10;
// At the limit all are forgotten, and read again when asked for.
constexpr size_t kKnownRecordsMax = 1'000'000;
// The sums of a larger file would keep a client waiting.
constexpr uint64_t kHashedBytesMax = uint64_t{64} << 20;
// Small files may live inside their inode and own no block, without being sparse.
constexpr uint64_t kSparseBytesMin = 1 << 20;
constexpr uint64_t kPieceBytesMax = 1 << 20;

std::string SidePath(std::string_view folder, std::string_view leaf) {
  return std::string(kSideArea).append("/").append(folder).append("/").append(leaf);
}
std::string AsidePath(std::string_view key) {
  return SidePath("objects", Sha256Hex(key));
}
std::string NamePath(std::string_view key) {
  return SidePath("names", Sha256Hex(key));
}
std::string RecordPath(std::string_view key) {
  const std::string digest = Sha256Hex(key);
  return SidePath("records", digest.substr(0, 2) + "/" + digest);
}

std::string PrintStamp(const FileStamp& stamp) {
  return "file " + std::to_string(stamp.size_bytes) + " " + std::to_string(stamp.modified_ns) +
         " " + std::to_string(stamp.inode) + "\n";
}

// Calls `take` with each piece of it in turn.
template <class Take>
Result<> ReadPieces(const FileDescriptor& file, Take take) {
  ASSIGN_OR_RETURN(const struct stat status, StatusOf(file));
  // One more than it holds, so that a small file takes one read to its end.
  const auto size_bytes = static_cast<uint64_t>(status.st_size);
  std::vector<std::byte> piece(std::min<uint64_t>(size_bytes + 1, kPieceBytesMax));
  off_t offset = 0;
  while (true) {
    const ssize_t got = pread(file.get(), piece.data(), piece.size(), offset);
    if (got < 0) return tl::unexpected(ErrorFromErrno(errno, "read"));
    if (got == 0) return {};
    take(std::span<const std::byte>(piece).first(static_cast<size_t>(got)));
    offset += got;
  }
}

// Not the work of this server: its ETag is the MD5, as the service would have made it,
// or for what is too large to read now, one that changes when the file does.
Result<ObjectRecord> RecordOfForeignFile(const FileDescriptor& file, const struct stat& status) {
  const auto size_bytes = static_cast<uint64_t>(status.st_size);
  const FileStamp stamp = FileStamp::Of(status);
  const bool sparse =
      size_bytes > kSparseBytesMin && static_cast<uint64_t>(status.st_blocks) * 512 < size_bytes;
  ObjectRecord record;
  if (sparse || size_bytes > kHashedBytesMax) {
    record.etag = Md5Hex(PrintStamp(stamp)) + "-1";
    return record;
  }
  ASSIGN_OR_RETURN(const Sums sums, SumsOf(file));
  record.etag = sums.md5_hex;
  record.crc64 = sums.crc64;
  return record;
}

}  // namespace

Result<Sums> SumsOf(const FileDescriptor& file) {
  RunningSums sums;
  RETURN_IF_ERROR(ReadPieces(file, [&](std::span<const std::byte> piece) { sums.Add(piece); }));
  return sums.Finish();
}

Result<std::optional<uint64_t>> Crc64Of(const FileDescriptor& file) {
  ASSIGN_OR_RETURN(const struct stat status, StatusOf(file));
  if (static_cast<uint64_t>(status.st_size) > kHashedBytesMax) return std::nullopt;
  uint64_t sum = 0;
  RETURN_IF_ERROR(
      ReadPieces(file, [&](std::span<const std::byte> piece) { sum = Crc64(sum, piece); }));
  return sum;
}

bool FitsFileName(std::string_view key) {
  if (key.empty() || key.size() >= 4000 || key.find('\0') != std::string_view::npos) return false;
  bool is_first = true;
  while (true) {
    const size_t slash = key.find('/');
    const std::string_view segment = key.substr(0, slash);
    if (segment.empty() || segment == "." || segment == ".." || segment.size() > 255) return false;
    if (is_first && segment == kSideArea) return false;
    if (slash == std::string_view::npos) return true;
    key.remove_prefix(slash + 1);
    is_first = false;
  }
}

std::string ObjectRecord::Print() const {
  std::string text = "etag " + etag + "\nclass " + storage_class + "\n";
  if (crc64) text.append("crc64 ").append(std::to_string(*crc64)).append("\n");
  for (const auto& [name, value] : headers)
    text.append("header ").append(name).append(" ").append(value).append("\n");
  return text;
}

std::optional<ObjectRecord> ObjectRecord::Parse(std::string_view text) {
  ObjectRecord record;
  const auto word = [](std::string_view& line) {
    const std::string_view first = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), first.size() + 1));
    return first;
  };
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::string_view kind = word(line);
    if (kind == "etag") {
      record.etag = line;
    } else if (kind == "class") {
      record.storage_class = line;
    } else if (kind == "crc64") {
      record.crc64 = ParseNumber(line);
    } else if (kind == "header") {
      const std::string name(word(line));
      record.headers.emplace_back(name, line);
    } else {
      return std::nullopt;
    }
  }
  return record;
}

StagedFile::~StagedFile() {
  // What cannot be removed now is removed at the next start.
  if (!path_.empty()) static_cast<void>(files_->Remove(path_).has_value());
}

Bucket::Bucket(std::string name, FilesBelow files)
    : name_(std::move(name)), files_(std::move(files)), index_(files_, std::string(kSideArea)) {}

Result<> Bucket::Recover() {
  // What cannot be removed is in nobody's way.
  static_cast<void>(files_.RemoveDirectory(std::string(kSideArea) + "/temporary").has_value());
  const auto names = files_.List(std::string(kSideArea) + "/names");
  if (!names && IsMissing(names.error())) return {};
  if (!names) return tl::unexpected(names.error());
  for (const DirectoryEntry& entry : *names) {
    const auto key = files_.ReadSmall(SidePath("names", entry.name), kKeyBytesMax);
    if (!key && key.error().code == Errc::kUnreachable) return tl::unexpected(key.error());
    if (!key) continue;
    const auto file = files_.OpenAt(AsidePath(*key), O_PATH);
    if (file) index_.AddAside(*key);
    if (!file && !IsMissing(file.error())) return tl::unexpected(file.error());
  }
  return {};
}

std::string Bucket::TemporaryPath() {
  return SidePath("temporary", std::to_string(++temporary_number_));
}

std::shared_mutex& Bucket::LockOf(std::string_view key) {
  return key_locks_[std::hash<std::string_view>{}(key) % key_locks_.size()];
}

std::shared_ptr<const ObjectRecord> Bucket::Known(const std::string& key, const FileStamp& stamp) {
  const MutexLock lock(mutex_);
  const auto known = known_.find(key);
  if (known == known_.end() || known->second.stamp != stamp) return nullptr;
  return known->second.record;
}

void Bucket::Remember(const std::string& key, const FileStamp& stamp,
                      std::shared_ptr<const ObjectRecord> record) {
  const MutexLock lock(mutex_);
  if (known_.size() >= kKnownRecordsMax) known_.clear();
  known_[key] = {stamp, std::move(record)};
}

void Bucket::Forget(const std::string& key) {
  const MutexLock lock(mutex_);
  known_.erase(key);
}

Result<StoredObject> Bucket::FindLocked(const std::string& key) {
  const bool aside = index_.HasAside(key);
  if (!aside && !FitsFileName(key)) return Fail(Errc::kNotFound, "no such key");
  StoredObject object;
  ASSIGN_OR_RETURN(object.file, files_.OpenAt(aside ? AsidePath(key) : key, O_RDONLY));
  ASSIGN_OR_RETURN(const struct stat status, StatusOf(object.file));
  if (!S_ISREG(status.st_mode)) return Fail(Errc::kNotFound, "not a file");
  object.stamp = FileStamp::Of(status);
  object.record = Known(key, object.stamp);
  if (object.record) return object;
  const std::string title = std::string(kRecordTitle) + "\n" + PrintStamp(object.stamp);
  const auto text = files_.ReadSmall(RecordPath(key), kRecordBytesMax);
  if (!text && !IsMissing(text.error())) return tl::unexpected(text.error());
  if (!text || !text->starts_with(title)) return object;
  if (auto record = ObjectRecord::Parse(std::string_view(*text).substr(title.size()))) {
    object.record = std::make_shared<const ObjectRecord>(*std::move(record));
    Remember(key, object.stamp, object.record);
  }
  return object;
}

Result<StoredObject> Bucket::Find(const std::string& key) {
  Result<StoredObject> found = [&] {
    const std::shared_lock lock(LockOf(key));
    return FindLocked(key);
  }();
  if (!found) {
    // Whatever stands there, it is not an object.
    if (found.error().code == Errc::kNotDirectory || found.error().code == Errc::kIsDirectory)
      found.error().code = Errc::kNotFound;
    return found;
  }
  if (found->record) return found;
  ASSIGN_OR_RETURN(const struct stat before, StatusOf(found->file));
  ASSIGN_OR_RETURN(ObjectRecord record, RecordOfForeignFile(found->file, before));
  ASSIGN_OR_RETURN(const struct stat after, StatusOf(found->file));
  found->record = std::make_shared<const ObjectRecord>(std::move(record));
  // Written while it was read: right for nobody else.
  if (FileStamp::Of(after) == found->stamp) Remember(key, found->stamp, found->record);
  return found;
}

Result<uint64_t> Bucket::SizeOf(const std::string& key) {
  const bool aside = index_.HasAside(key);
  if (!aside && !FitsFileName(key)) return Fail(Errc::kNotFound, "no such key");
  ASSIGN_OR_RETURN(const FileDescriptor file, files_.OpenAt(aside ? AsidePath(key) : key, O_PATH));
  ASSIGN_OR_RETURN(const struct stat status, StatusOf(file));
  return FileStamp::Of(status).size_bytes;
}

Result<StagedFile> Bucket::Stage() {
  std::string path = TemporaryPath();
  RETURN_IF_ERROR(files_.MakeParents(path));
  ASSIGN_OR_RETURN(FileDescriptor file, files_.OpenAt(path, O_RDWR | O_CREAT | O_EXCL));
  return StagedFile(files_, std::move(path), std::move(file));
}

Result<> Bucket::MoveIntoPlace(const StagedFile& staged, const std::string& key) {
  if (FitsFileName(key) && !index_.HasAside(key)) {
    Result<> moved = files_.MakeParents(key);
    if (moved) moved = files_.Rename(staged.path(), key);
    if (moved) return {};
    // Only a file where a directory is needed, or the reverse, sends an object aside.
    const Errc code = moved.error().code;
    if (code != Errc::kNotDirectory && code != Errc::kIsDirectory && code != Errc::kNotFound)
      return moved;
  }
  RETURN_IF_ERROR(files_.WriteSmall(NamePath(key), key, TemporaryPath()));
  RETURN_IF_ERROR(files_.MakeParents(AsidePath(key)));
  RETURN_IF_ERROR(files_.Rename(staged.path(), AsidePath(key)));
  index_.AddAside(key);
  return {};
}

Result<> Bucket::Commit(StagedFile staged, const std::string& key, const ObjectRecord& record,
                        const WriteCondition& condition) {
  ASSIGN_OR_RETURN(const struct stat status, StatusOf(staged.file()));
  const FileStamp stamp = FileStamp::Of(status);
  const std::unique_lock lock(LockOf(key));
  if (condition.must_be_new || !condition.etag.empty()) {
    const auto present = FindLocked(key);
    if (!present && !IsMissing(present.error())) return tl::unexpected(present.error());
    const bool fits = condition.must_be_new
                          ? !present.has_value()
                          : present && present->record && present->record->etag == condition.etag;
    if (!fits) return Fail(Errc::kChanged, "the object is not as the writer expected");
  }
  // The record first: it speaks of a file that is not there yet, which harms nobody.
  RETURN_IF_ERROR(files_.WriteSmall(
      RecordPath(key), std::string(kRecordTitle) + "\n" + PrintStamp(stamp) + record.Print(),
      TemporaryPath()));
  RETURN_IF_ERROR(MoveIntoPlace(staged, key));
  staged.Release();
  Remember(key, stamp, std::make_shared<const ObjectRecord>(record));
  return {};
}

Result<> Bucket::Remove(const std::string& key) {
  const std::unique_lock lock(LockOf(key));
  if (index_.HasAside(key)) {
    RETURN_IF_ERROR(files_.Remove(AsidePath(key)));
    RETURN_IF_ERROR(files_.Remove(NamePath(key)));
    index_.RemoveAside(key);
  } else if (FitsFileName(key)) {
    // A directory of that name is not an object.
    auto removed = files_.Remove(key);
    if (!removed && removed.error().code != Errc::kIsDirectory) return removed;
  }
  Forget(key);
  return files_.Remove(RecordPath(key));
}

}  // namespace shoal::embedded
