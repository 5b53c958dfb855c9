// One bucket: a directory whose files are its objects.
//
//   DIR/BUCKET/a/b               the object "a/b": an ordinary file, put there by anyone
//   DIR/BUCKET/.shoal-origin/
//     records/ab/DIGEST          what a file cannot hold of an object: ETag, headers, class
//     names/DIGEST               a key that no file can be named after, and
//     objects/DIGEST             its bytes ("/a", "a//b", "..", "a/" and, beside "a/b/c", "a/b")
//     uploads/ID/                multipart uploads that are not complete
//     temporary/                 bytes that are still arriving
//
// DIGEST is the SHA-256 of the key. A record names the version of the file it belongs to,
// so a file changed from outside loses its record, and is an object of its own again.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "testing/origin_digest.h"
#include "testing/origin_files.h"
#include "testing/origin_key_index.h"

namespace shoal::embedded {

inline constexpr std::string_view kSideArea = ".shoal-origin";

struct ObjectRecord {
  std::string etag;               // lower-case hex, no quotes; "hash-N" after a multipart upload
  std::optional<uint64_t> crc64;  // empty where it was not reckoned
  std::string storage_class = "Standard";  // as OSS names them
  // content-type and its kind, and "meta-NAME" for user metadata. Lower case.
  std::vector<std::pair<std::string, std::string>> headers;

  // One header a line. Values are HTTP header values, so no line can break.
  [[nodiscard]] std::string Print() const;
  static std::optional<ObjectRecord> Parse(std::string_view text);
};

struct StoredObject {
  // Reads the same bytes even when the object is replaced, but not when its file is rewritten in
  // place from outside: then its stamp is no longer `stamp`.
  FileDescriptor file;
  FileStamp stamp;
  std::shared_ptr<const ObjectRecord> record;
};

// What must hold at the moment an object is written.
struct WriteCondition {
  bool must_be_new = false;
  std::string etag;  // of the object to be replaced; empty: any
};

// Bytes on their way to be an object. Removed if they never become one.
class StagedFile {
 public:
  StagedFile(const FilesBelow& files, std::string path, FileDescriptor file)
      : files_(&files), path_(std::move(path)), file_(std::move(file)) {}
  StagedFile(StagedFile&& other) noexcept
      : files_(other.files_),
        path_(std::exchange(other.path_, {})),
        file_(std::move(other.file_)) {}
  ~StagedFile();
  [[nodiscard]] const FileDescriptor& file() const { return file_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  // It has another name now.
  void Release() { path_.clear(); }

 private:
  const FilesBelow* files_;
  std::string path_;
  FileDescriptor file_;
};

// Thread-safe.
class Bucket {
 public:
  // `files` is the bucket's directory.
  Bucket(std::string name, FilesBelow files);
  // First of all, and by nobody else meanwhile: removes what an earlier process left unfinished,
  // and learns which keys have no file of their own name.
  Result<> Recover();

  // kNotFound where there is none.
  Result<StoredObject> Find(const std::string& key);
  // Without opening it, as a count of everything needs.
  Result<uint64_t> SizeOf(const std::string& key);
  Result<StagedFile> Stage();
  // Makes the staged bytes the object `key`, all at once. kChanged where `condition` does
  // not hold.
  Result<> Commit(StagedFile staged, const std::string& key, const ObjectRecord& record,
                  const WriteCondition& condition = {});
  // An absent object is no failure.
  Result<> Remove(const std::string& key);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const FilesBelow& files() const { return files_; }
  [[nodiscard]] KeyIndex& index() { return index_; }

 private:
  struct KnownRecord {
    FileStamp stamp;
    std::shared_ptr<const ObjectRecord> record;
  };

  // A file and its record change together, and are read together, under this lock of the
  // key. It covers a few local system calls, never the network.
  std::shared_mutex& LockOf(std::string_view key);
  Result<StoredObject> FindLocked(const std::string& key);
  std::shared_ptr<const ObjectRecord> Known(const std::string& key, const FileStamp& stamp);
  void Remember(const std::string& key, const FileStamp& stamp,
                std::shared_ptr<const ObjectRecord> record);
  void Forget(const std::string& key);
  // Under its own name if it can have one, aside otherwise.
  Result<> MoveIntoPlace(const StagedFile& staged, const std::string& key);
  std::string TemporaryPath();

  const std::string name_;
  const FilesBelow files_;
  KeyIndex index_;
  std::atomic<uint64_t> temporary_number_{0};
  std::array<std::shared_mutex, 64> key_locks_;
  Mutex mutex_;
  std::unordered_map<std::string, KnownRecord> known_ GUARDED_BY(mutex_);
};

// Of a whole file.
Result<Sums> SumsOf(const FileDescriptor& file);
// Empty of one that is so large that it would keep a client waiting.
Result<std::optional<uint64_t>> Crc64Of(const FileDescriptor& file);

// Whether a file below the bucket's directory can bear this name.
bool FitsFileName(std::string_view key);

}  // namespace shoal::embedded
