// Fetches the small files of a directory ahead of the programs that read them in order.
//
// The orders a directory is read in are that of its listing (shells, tar, most loaders) and
// that of its inode numbers (cp -r, and others that hope to spare a disk's head). Each file
// that is read is shown to a WalkDetector for the first, and, where that explains nothing, to
// one for the second, until one of them has proven right. What they want is fetched by
// ReadEngine::Foresee and held here until its first read, or until nobody wants it any more.
//
// Only reads count, and not opens: what a program opens and then finds in the kernel's pages
// or in a cache is not worth a fetch.
//
// Bounded: kDirectoryCountMax directories whose listings take kListingBytesMax, the ones used
// longest ago go first; kForeseenCountMax files, and the engine bounds their bytes. A
// directory nobody reads from for kKeptFor goes the next time anything is opened.
//
// No lock is held while the engine is called. Thread-safe; never waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/object.h"
#include "fs/directory_listing.h"
#include "fs/known_names.h"
#include "fs/walk_detector.h"
#include "read/read_engine.h"

namespace shoal {

class DirectoryWalks {
  struct Directory;

 public:
  // An open file, and its place among its neighbours.
  class Step {
   public:
    Step(std::shared_ptr<Directory> directory, size_t index)
        : directory_(std::move(directory)), index_(index) {}

   private:
    friend class DirectoryWalks;
    const std::shared_ptr<Directory> directory_;
    const size_t index_;
    std::atomic<bool> was_read_ = false;
  };

  static constexpr size_t kDirectoryCountMax = 1024;
  static constexpr size_t kListingBytesMax = 64 * kMiB;
  static constexpr size_t kForeseenCountMax = 1024;
  static constexpr Duration kKeptFor = std::chrono::seconds(30);

  // They outlive this.
  DirectoryWalks(ReadEngine& engine, KnownNames& names, const Clock& clock)
      : engine_(engine), names_(names), clock_(clock) {}

  // A program was given this listing of a directory.
  void Listed(const std::shared_ptr<DirectoryListing>& listing) EXCLUDES(mutex_);
  // For a file that is being opened. Null: no known listing has it, or it is too large to be
  // fetched ahead.
  std::shared_ptr<Step> Open(const ObjectVersion& version) EXCLUDES(mutex_);
  // Bytes of it were asked for, and no cache had them at hand. Call after the engine was.
  void OnRead(Step& step) EXCLUDES(mutex_);

  // Forgets the listings, and what is fetched by them.
  void Clear() EXCLUDES(mutex_);

 private:
  using Readers = std::vector<std::shared_ptr<ObjectReader>>;  // to be let go without the lock

  // One order of a directory. Places are those of the detector, indices those of the listing.
  struct Order {
    WalkDetector detector;
    std::vector<uint32_t> index_of;  // by place; empty: they are the same
    std::vector<uint32_t> place_of;  // by index

    [[nodiscard]] size_t IndexOf(WalkDetector::Place place) const;
    [[nodiscard]] WalkDetector::Place PlaceOf(size_t index) const;
  };

  // Guarded by mutex_, but for the listing.
  struct Directory {
    explicit Directory(std::shared_ptr<DirectoryListing> listing_) : listing(std::move(listing_)) {}

    const std::shared_ptr<DirectoryListing> listing;  // its own synchronization
    bool removed = false;                             // from here; nothing is fetched any more
    Instant used_at{};
    uint64_t read_count = 0;
    Order by_name;
    std::optional<Order> by_inode;
    bool asked_for_inodes = false;
    // By index; null while the engine is asked for it.
    std::unordered_map<size_t, std::shared_ptr<ObjectReader>> foreseen;
  };
  using Directories = std::map<std::string, std::shared_ptr<Directory>, std::less<>>;

  // To be fetched; what one order wants, after each other.
  struct Wanted {
    Order* order;
    WalkDetector::Place place;
    size_t index;
    ObjectVersion version;
  };

  std::shared_ptr<Directory> Find(std::string_view prefix) EXCLUDES(mutex_);
  void Show(Directory& directory, size_t index, std::vector<Wanted>& wanted, Readers& gone)
      REQUIRES(mutex_);
  void Show(Directory& directory, Order& order, size_t index, std::vector<Wanted>& wanted,
            Readers& gone) REQUIRES(mutex_);
  void Fetch(Directory& directory, const std::vector<Wanted>& wanted) EXCLUDES(mutex_);
  static Order ByInode(const DirectoryListing& listing);
  void Sweep(Readers& gone) REQUIRES(mutex_);
  void MakeRoom(Readers& gone) REQUIRES(mutex_);
  void Remove(Directories::iterator row, Readers& gone) REQUIRES(mutex_);
  void LetGo(Directory& directory, size_t index, Readers& gone) REQUIRES(mutex_);

  ReadEngine& engine_;
  KnownNames& names_;  // has listings of directories that went from here
  const Clock& clock_;

  Mutex mutex_;
  Directories directories_ GUARDED_BY(mutex_);  // by prefix
  size_t foreseen_count_ GUARDED_BY(mutex_) = 0;
  Instant swept_at_ GUARDED_BY(mutex_){};
};

}  // namespace shoal
