// Small objects side by side in one file: a shelf. No inode an object, and none to look for
// when one is made, which is most of what a file of a few pages costs.
//
// An object has a place of its own: a block for its meta and behind it its bytes. Places are
// taken one behind the other and never twice; what an object that goes had is given back to
// the file system as a hole. The kernel is never given a shelf to read by itself, so nobody but
// this process reads a place, and the hole is made once the last reader has let go, by who next
// writes to the shelf or puts it in order: a reader does not wait for that.
//
// Two files: NAME.bytes, and NAME.index, the log of what is where (shelf_log.h). Neither is
// synced: what a power loss took does not compare with its checksum. The log is read when the
// shelf is first asked for something, so that opening a cache takes no longer for what is in it.
//
// Thread-safe. Errors are CacheStorage's.
#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "base/mutex.h"
#include "base/result.h"
#include "cache/cache_storage.h"
#include "cache/counted_blocks.h"
#include "cache/shelf_log.h"

namespace shoal {

class Shelf {
 public:
  // The files are in the folder, which outlives this and is on a tmpfs if `in_memory`; `shown`
  // names the shelf in messages. `sum` outlives it as well, and is told what the files take beyond
  // the places of the objects that are here, and may yet take for them when they are written out.
  Shelf(int folder_fd, std::string name, std::string shown, BlockSum& sum, bool in_memory = false);
  // Every object has been closed. What was only noted is forgotten.
  ~Shelf() = default;
  Shelf(const Shelf&) = delete;
  Shelf& operator=(const Shelf&) = delete;

  // kNotFound: not here. The shelf outlives what it returns.
  Result<std::unique_ptr<StoredObject>> Open(const ObjectDigest& name);
  // In place of one that is here. kBusy: the shelf takes no more, or the file system cannot
  // give back parts of a file. REQUIRES: 0 < size_bytes <= kShelvedBytesMax.
  Result<std::unique_ptr<StoredObject>> Create(const ObjectDigest& name, uint64_t size_bytes);
  // False: it was not here. After an error it is here as before.
  Result<bool> Remove(const ObjectDigest& name);
  // The same. Is only noted, so that no reader waits for it.
  Result<bool> MarkUsed(const ObjectDigest& name);
  // CacheStorage's.
  [[nodiscard]] uint64_t BlocksToPutInOrder() EXCLUDES(file_mutex_) EXCLUDES(mutex_);
  Result<> PutInOrder(uint64_t block_count_max) EXCLUDES(file_mutex_) EXCLUDES(mutex_);
  // False: `visit` wanted no more. `clean` also gives back what belongs to no object; nothing
  // may be created meanwhile.
  Result<bool> Scan(bool clean, const std::function<bool(const CacheStorage::Found&)>& visit);

  // Of what it remembers.
  [[nodiscard]] size_t memory_bytes() EXCLUDES(mutex_);

 private:
  class Slot;
  // Half of an object's digest. Two objects with one tag would displace each other.
  using Tag = uint64_t;
  static Tag TagOf(const ObjectDigest& name) { return name.words[1]; }
  struct HashOfTag {
    using is_avalanching = void;  // it is a hash already
    size_t operator()(Tag tag) const { return tag; }
  };
  struct Users {
    uint32_t count = 0;
    bool removed = false;  // its place becomes a hole after the last one
    ShelfPlace place;
  };

  [[nodiscard]] std::optional<ShelfPlace> Find(const ObjectDigest& name) EXCLUDES(mutex_);
  void EndUse(const ShelfPlace& place) EXCLUDES(mutex_);
  struct Taken {
    ShelfPlace place;
    bool in_use;  // then it is left to EndUse
  };
  // The name has its place no longer. Empty: it had none.
  std::optional<Taken> TakeAway(Tag tag) REQUIRES(mutex_);

  // What it takes, and what it gives back (shelf_room.cc).
  void CountBlocks() EXCLUDES(mutex_) EXCLUDES(count_mutex_);
  Result<> MakeHole(uint64_t first_block, uint64_t end_block);
  // Those that readers left.
  void MakeHolesLeft() EXCLUDES(mutex_) EXCLUDES(count_mutex_);
  Result<> GiveBackTheRest(uint64_t file_blocks) EXCLUDES(mutex_);

  // Its two files (shelf_files.cc).
  Result<> Load() EXCLUDES(file_mutex_) EXCLUDES(mutex_);
  Result<> LoadNow() REQUIRES(file_mutex_) EXCLUDES(mutex_);
  Result<> StartOver() REQUIRES(file_mutex_);
  // kBusy: the file system has no holes.
  Result<> PrepareToWrite() EXCLUDES(file_mutex_);
  Result<> MakeWritable() REQUIRES(file_mutex_);
  // The file is longer than what is placed on it: XFS takes room in advance where a file grows.
  Result<> Lengthen(const ShelfPlace& place) EXCLUDES(file_mutex_);
  Result<> Append(const ShelfEntry& entry) EXCLUDES(file_mutex_);
  Result<> AppendAll(const std::vector<ShelfEntry>& entries) REQUIRES(file_mutex_);
  Result<> PutLogInOrder(uint64_t block_count_max) EXCLUDES(file_mutex_) EXCLUDES(mutex_);
  [[nodiscard]] bool LogIsLong() const REQUIRES(file_mutex_) REQUIRES(mutex_);
  [[nodiscard]] uint64_t LogBlocksWanted() const REQUIRES(file_mutex_) REQUIRES(mutex_);
  Result<> RewriteLog() REQUIRES(file_mutex_) EXCLUDES(mutex_);
  Result<std::vector<std::byte>> ReadLog();
  static constexpr char kBytesSuffix[] = ".bytes";
  static constexpr char kLogSuffix[] = ".index";
  static constexpr char kNewLogSuffix[] = ".index.new";
  [[nodiscard]] std::string FileName(const char* suffix) const { return name_ + suffix; }

  const int folder_fd_;
  const std::string name_;
  const std::string shown_;
  const bool in_memory_;

  // Held across I/O, on purpose: the log is read once, and written by one thread at a time. Once
  // it was read, who reads or opens an object does not take it.
  Mutex file_mutex_;
  FileDescriptor log_ GUARDED_BY(file_mutex_);    // to append; opened when first needed, because
  FileDescriptor bytes_ GUARDED_BY(file_mutex_);  // opening to write waits where all is frozen
  FileDescriptor bytes_to_read_ GUARDED_BY(file_mutex_);
  uint64_t log_entry_count_ GUARDED_BY(file_mutex_) = 0;
  uint64_t length_blocks_ GUARDED_BY(file_mutex_) = 0;  // of the file of bytes
  bool log_is_ragged_ GUARDED_BY(file_mutex_) = false;  // it ends within an entry
  bool has_no_holes_ GUARDED_BY(file_mutex_) = false;
  int failed_load_count_ GUARDED_BY(file_mutex_) = 0;
  std::atomic<bool> loaded_{false};
  // The descriptors above, for who holds no lock. Negative: not open yet.
  std::atomic<int> read_fd_{-1};
  std::atomic<int> write_fd_{-1};

  Mutex mutex_;
  boost::unordered_flat_map<Tag, ShelfPlace, HashOfTag> places_ GUARDED_BY(mutex_);
  std::map<uint32_t, Users> users_ GUARDED_BY(mutex_);  // by first block
  uint64_t end_block_ GUARDED_BY(mutex_) = 0;           // where the next place begins
  uint64_t placed_block_count_ GUARDED_BY(mutex_) = 0;
  std::vector<ShelfPlace> holes_left_ GUARDED_BY(mutex_);  // to be made
  uint64_t left_block_count_ GUARDED_BY(mutex_) = 0;       // of what is gone and no hole yet
  std::vector<ShelfEntry> used_ GUARDED_BY(mutex_);        // to be written, or forgotten

  BlockSum& sum_;
  Mutex count_mutex_;  // held while it is counted: an older count must not come after a newer one
  uint64_t own_block_count_ GUARDED_BY(count_mutex_) = 0;  // in the sum
};

}  // namespace shoal
