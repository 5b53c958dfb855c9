// What the kernel's inode numbers stand for.
//
// A number is a hash of what it names (a directory's prefix; an object's key, ETag and
// size), so the same object has the same number after a remount, and a changed object
// another one. An inode stays for as long as the kernel holds references on it.
// Directories are handed over to the next process: a program may stand in one, and no path
// leads the kernel there again. So are the last files that were looked up: an open goes on
// with what its look-up found. Where the kernel opens files unasked, it may read of any file
// that it has, and all are.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "fs/file_system.h"
#include "fs/hand_over.h"
#include "origin/object_store.h"

namespace shoal {

// Immutable. Of one version of an object there may be several after each other, alike but for
// the time and the class: the same bytes were uploaded again, or archived.
struct Inode {
  InodeId id = 0;
  bool is_directory = false;
  std::string prefix;  // of a directory: "" or ending in '/'
  ObjectInfo object;   // of a file

  [[nodiscard]] Attributes attributes() const;
};

class InodeTable {
 public:
  enum class HandsOver : uint8_t { kFilesLookedUpLast, kAllFiles };

  // The root has number kRootInode and `root_prefix`, and is never forgotten. The
  // directories and files that `hand_over` was left are known at once. It outlives this.
  InodeTable(std::string root_prefix, HandOver& hand_over,
             HandsOver files = HandsOver::kFilesLookedUpLast);

  // The number a directory or object has or would have; takes no reference.
  [[nodiscard]] static InodeId NumberOf(const std::string& directory_prefix);
  [[nodiscard]] static InodeId NumberOf(const ObjectInfo& object);

  // Adds a reference, making the inode if there is none. Two things whose hashes are
  // the same get numbers next to each other. An object has the attributes that were given last,
  // because those are what the kernel is given as well.
  std::shared_ptr<const Inode> ReferenceDirectory(const std::string& prefix);
  std::shared_ptr<const Inode> ReferenceFile(const ObjectInfo& object);
  // As ReferenceFile, for a look-up.
  std::shared_ptr<const Inode> ReferenceLookedUp(const ObjectInfo& object);

  // A file that the kernel knows from the process before, by this number.
  std::shared_ptr<const Inode> RestoreFile(InodeId id, const ObjectInfo& object);

  // Null for a number nobody references.
  [[nodiscard]] std::shared_ptr<const Inode> Find(InodeId id) const;

  void Forget(InodeId id, uint64_t count);

  [[nodiscard]] size_t size() const { return size_.load(std::memory_order_relaxed); }
  // Some of those that are here but for the root, other ones each time until all had their turn.
  std::vector<InodeId> Next(size_t count);

 private:
  struct Slot {
    std::shared_ptr<const Inode> inode;
    uint64_t references = 0;
    HandOver::Token token = HandOver::kNone;
  };
  std::shared_ptr<const Inode> Reference(Inode wanted);
  HandOver::Token KeepFile(const Inode& file, uint64_t references);
  // More are not between their look-up and their open at one time.
  static constexpr size_t kLookedUpCountMax = 1024;

  void RestoreDirectories(const std::string& root_prefix) REQUIRES(mutex_);
  void RestoreFiles() REQUIRES(mutex_);
  Slot& SlotOfFile(InodeId id, const ObjectInfo& object) REQUIRES(mutex_);

  HandOver& hand_over_;
  const bool hands_over_all_files_;
  mutable Mutex mutex_;
  std::unordered_map<InodeId, Slot> slots_ GUARDED_BY(mutex_);
  size_t next_bucket_ GUARDED_BY(mutex_) = 0;  // where Next goes on
  std::atomic<size_t> size_{0};                // of slots_, for who does not want the lock
  // The last, unless all are handed over.
  std::deque<std::pair<InodeId, HandOver::Token>> looked_up_ GUARDED_BY(mutex_);
};

}  // namespace shoal
