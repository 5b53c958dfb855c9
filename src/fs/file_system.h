// The file system, without FUSE: what lookup, readdir, open and read mean over an
// object store. fuse/ translates the kernel's requests to these calls and tests call
// them directly.
//
// An inode is one version of one object, or one directory: an object that changes gets
// a new inode number, so pages the kernel keeps for an inode are never stale. Numbers
// are hashes of what they name, the same after a remount.
//
// Read-only: what would write is refused by fuse/ without asking here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "cache/whole_file.h"
#include "read/read_engine.h"

namespace shoal {

using InodeId = uint64_t;
using HandleId = uint64_t;
inline constexpr InodeId kRootInode = 1;

struct Attributes {
  InodeId inode = 0;
  bool is_directory = false;
  uint64_t size_bytes = 0;
  int64_t modified_unix_seconds = 0;
};

// What a name leads to, and for how long the kernel may go on without asking again.
struct Entry {
  Attributes attributes;
  Duration name_valid_for{};
  Duration attributes_valid_for{};
};

struct DirectoryEntry {
  std::string name;
  Entry entry;
  uint64_t next_cookie;  // where a reader that took this one goes on
  bool name_alone = false;
};

struct OpenedFile {
  HandleId handle = 0;
  // The object as one file of the cache, if it is: the kernel may read there by itself.
  std::shared_ptr<const WholeFile> whole;
};

// What the kernel is told of a handle beside its number.
struct OpenNote {
  uint64_t request = 0;    // the kernel's number of the request that opened it
  int32_t backing_id = 0;  // of the file that the kernel reads by itself, or 0

  friend bool operator==(const OpenNote&, const OpenNote&) = default;
};

struct KeptHandle {
  HandleId handle = 0;
  InodeId inode = 0;
  bool is_directory = false;
  OpenNote note;
};

struct Usage {
  uint64_t total_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t object_count_max = 0;
  uint64_t object_count = 0;
};

// Of whole listings that are kept for those who open a directory again.
struct DirectoryCacheLimits {
  uint64_t entry_count_max = 0;  // 0: nothing is kept
  uint64_t size_bytes_max = 0;   // names, keys, ETags and what holds them
  Duration kept_for{};           // from when the listing began
};

// Of so many, a listing adds no more, and the kernel is asked to let go of those beyond it: there
// is room for look-ups then.
constexpr size_t InodeCountEnough(size_t inode_count_max) {
  return inode_count_max - inode_count_max / 8;
}

// Safe from any thread. "Waits" means: for the origin, until the deadline.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Waits. The kernel holds a reference on the inode from now on, given back by Forget.
  // kNotFound: no such name.
  virtual Result<Entry> Lookup(InodeId parent, std::string_view name, Deadline deadline) = 0;
  // The same when it is known without waiting, else empty.
  virtual std::optional<Result<Entry>> LookupIfKnown(InodeId parent, std::string_view name) = 0;
  virtual void Forget(InodeId inode, uint64_t count) = 0;
  // That the kernel is known to hold references on; and how many are planned for. More are served
  // all the same. Neither takes a lock.
  [[nodiscard]] virtual size_t inode_count() const = 0;
  [[nodiscard]] virtual size_t inode_count_max() const = 0;
  // Some of them, other ones each time until all had their turn.
  virtual std::vector<InodeId> NextInodes(size_t count) = 0;

  // Does not wait. kChanged: an inode nobody remembers.
  virtual Result<Entry> GetAttributes(InodeId inode) = 0;

  // Waits. kChanged: the object is no longer this inode's version; a new lookup finds
  // the new one (the kernel does so by itself when open answers ESTALE).
  virtual Result<OpenedFile> Open(InodeId inode, Deadline deadline) = 0;
  // The same when it is known without waiting, else empty.
  virtual std::optional<Result<OpenedFile>> OpenIfKnown(InodeId inode) = 0;
  // Fills `out` from `offset`, as far as the object goes, if a cache has all of that at hand;
  // answers how much that is. Empty: Read it. Does not wait.
  virtual std::optional<size_t> ReadNow(HandleId handle, uint64_t offset,
                                        std::span<std::byte> out) = 0;
  // Does not wait; ReadDone as in read_engine.h. kChanged: the object was replaced or
  // deleted since it was opened and these bytes are gone.
  virtual void Read(HandleId handle, ByteRange range, ReadDone done) = 0;

  // Does not wait: the listing starts with the first ReadDirectory.
  virtual Result<HandleId> OpenDirectory(InodeId directory) = 0;
  // Waits. At most `count_max` entries from `cookie` (0: the start, with "." and "..");
  // empty at the end. Entries keep their cookies while the handle is open.
  virtual Result<std::vector<DirectoryEntry>> ReadDirectory(HandleId handle, uint64_t cookie,
                                                            size_t count_max,
                                                            Deadline deadline) = 0;
  // The kernel is being given this entry by READDIRPLUS and will hold a reference on it
  // ("." and ".." excepted, which the caller leaves out). Answers the number to give,
  // which differs from the entry's only where two names have one hash; 0: give the name alone,
  // as the kernel holds references on so many already.
  virtual InodeId Remember(HandleId handle, const DirectoryEntry& entry) = 0;

  // Ends a handle of either kind.
  virtual void Release(HandleId handle) = 0;

  // The kernel is about to be given `handle`: should this process end, the next one has it.
  virtual void Keep(HandleId handle, const OpenNote& note) = 0;
  // The kernel is done with it, and the next process shall not have it. False: there is no
  // such handle. Another process may have ended it and died before it could say so.
  virtual bool Unkeep(HandleId handle) = 0;
  // The open handles that the processes before this one left.
  virtual std::vector<KeptHandle> HandlesLeft() = 0;

  // Forget which names directories have, or what is known of names: sizes, versions, and
  // that there are none. What was asked of the store before the call is not kept after it,
  // and an entry made of that has no long validity, so that the kernel asks again. Open
  // handles go on as they are; a directory read to its end through one may show what was.
  //
  // The kernel's copies of names are not touched: the caller has it forget them after the
  // call, those of answers that are on their way to it included. Neither waits.
  virtual void ClearDirectoryCache() = 0;
  virtual void ClearMetadataCache() = 0;

  // From now on, also for what is kept already. Neither waits.
  virtual void SetDirectoryCacheLimits(const DirectoryCacheLimits& limits) = 0;
  // How long the metadata cache believes that a name is missing.
  virtual void SetMissingValidFor(Duration valid_for) = 0;
  // For how long the kernel may believe a name that a listing gives it; what it has it believes for
  // as long as it was told.
  virtual void SetListedNameValidFor(Duration valid_for) = 0;

  // Does not wait: what the bucket held when last asked.
  virtual Usage GetUsage() = 0;
};

}  // namespace shoal
