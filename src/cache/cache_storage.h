// Where a volume of the cache keeps its files: a directory, or in tests one with trouble.
//
// An object has its bytes, sparse until they are all there, and its meta (object_meta.h), as
// two files or in a place on a shelf. Nothing is ever written where something else was: an
// object that is made anew gets new files or a new place, because whoever has the old ones open
// may still read them.
//
// All calls but ReadDataNow may wait for the medium, for ever if it hangs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "cache/object_digest.h"

namespace shoal {

inline constexpr uint64_t kCacheBlockBytes = 4096;

// An object's bytes and meta, open. Reads from any thread; writes from one at a time. Errors:
// kNoSpace; kUnreachable for a medium that fails.
class StoredObject {
 public:
  virtual ~StoredObject() = default;

  virtual Result<> ReadData(uint64_t offset, std::span<std::byte> out) = 0;
  // False when that would have to wait.
  virtual bool ReadDataNow(uint64_t offset, std::span<std::byte> out) = 0;
  virtual Result<> WriteData(uint64_t offset, std::span<const std::byte> bytes) = 0;

  // Past the end there are zeros.
  virtual Result<> ReadMeta(uint64_t offset, std::span<std::byte> out) = 0;
  virtual Result<> WriteMeta(uint64_t offset, std::span<const std::byte> bytes) = 0;
  // The next place in the meta, from `offset`, that may not be zeros; its size if none.
  virtual Result<uint64_t> NextMetaData(uint64_t offset) = 0;

  virtual Result<uint64_t> DataBytes() = 0;
  // What both take, in blocks of kCacheBlockBytes.
  virtual Result<uint64_t> BlockCount() = 0;

  // What was written is in the kernel's memory first. Sync waits until it is on the medium.
  virtual Result<> Sync() = 0;
  // An error if the medium was found to have lost some of it by now, of this object or of one
  // beside it; said once. Does not wait: what is on its way there is in memory as well.
  virtual Result<> ConfirmWritten() = 0;
  // The next read of the bytes asks the medium. False: some are still in memory, as somebody maps
  // them, or the medium has not taken them yet. `waits`: until it has.
  virtual bool DropPages(bool waits) = 0;

  // Of a file that is just the bytes, for reading, valid while this lives; negative if there
  // is none.
  [[nodiscard]] virtual int data_fd() const = 0;
};

// Thread-safe.
class CacheStorage {
 public:
  virtual ~CacheStorage() = default;

  // kNotFound: not here, or not as this class makes it.
  virtual Result<std::unique_ptr<StoredObject>> Open(const ObjectDigest& name) = 0;
  // Made anew, in place of one that is there. The bytes are zeros.
  virtual Result<std::unique_ptr<StoredObject>> Create(const ObjectDigest& name,
                                                       uint64_t size_bytes) = 0;
  // Nothing there is no error.
  virtual Result<> Remove(const ObjectDigest& name) = 0;
  // Whether somebody still has its bytes although every use of it has ended: a mapping of a file
  // that was given out (data_fd) stays when that is closed, and its room is not to be had. False
  // when the medium does not say.
  virtual bool IsMapped(const ObjectDigest& name) {
    (void)name;
    return false;
  }
  // Puts it aside, for somebody to look at; the oldest of more than a few goes. Nothing there
  // is no error.
  virtual Result<> Quarantine(const ObjectDigest& name) = 0;

  struct Found {
    ObjectDigest name;
    uint64_t block_count;
    int64_t used_unix_seconds;
  };
  // All objects here, in any order. Ends early, with no error, when `visit` answers false.
  virtual Result<> Scan(const std::function<bool(const Found&)>& visit) = 0;
  // The same, and removes files that are not of an object. Nothing may be created meanwhile:
  // the one file of an object that is being made would be taken for such.
  virtual Result<> ScanAndClean(const std::function<bool(const Found&)>& visit) = 0;
  // So that a later Scan knows; some storages only note it until PutInOrder.
  virtual Result<> MarkUsed(const ObjectDigest& name) = 0;

  // Waits until all that was written is on the medium. An error: that could not be, or something
  // was lost since this was last asked.
  virtual Result<> SyncAll() = 0;

  struct Room {
    uint64_t total_bytes;  // of the file system
    uint64_t free_bytes;
  };
  virtual Result<Room> GetRoom() = 0;
  // What directories, indexes, and what is put aside take, and what was removed while somebody
  // read it. What a call takes of that is counted when it returns. Asks the medium nothing.
  [[nodiscard]] virtual uint64_t own_block_count() = 0;

  // An index keeps itself short, and in step with what is here, when it is put in order: that gives
  // back what readers left, writes what was only noted, and the index anew where it has grown
  // long. What takes more blocks than given is left for the next time; what was noted and could not
  // be written is forgotten. By one thread at a time.
  [[nodiscard]] virtual size_t index_count() const { return 0; }
  virtual uint64_t BlocksToPutInOrder(size_t index) {
    (void)index;
    return 0;
  }
  virtual Result<> PutInOrder(size_t index, uint64_t block_count_max) {
    (void)index;
    (void)block_count_max;
    return {};
  }

  // The volume has this capacity from now on. Asks a medium that may hang nothing.
  virtual Result<> Resize(uint64_t capacity_bytes) {
    (void)capacity_bytes;
    return {};
  }

  // What it remembers of objects that are here.
  [[nodiscard]] virtual size_t memory_bytes() { return 0; }

  // For messages.
  [[nodiscard]] virtual const std::string& name() const = 0;
};

}  // namespace shoal
