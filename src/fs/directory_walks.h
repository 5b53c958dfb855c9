// Fetches the small files of a directory ahead of the programs that read them in order.
//
// Each file that is read is shown to a WalkDetector for the order of the listing (shells, tar,
// most loaders) and, where that explains little, to one for each of the other orders
// (directory_order.h), until one of them has proven right. What they want is fetched by
// ReadEngine::Foresee and held here until its first read. The last few of a directory that no
// order wants any more are kept while there is room: most programs read all of it in the end. What
// was just read is in no order worth fetching, until some of it is read again: an order that is
// looked at late, or has come to its end, does not know of it.
//
// Only reads count, and not opens: what a program opens and then finds in the kernel's pages
// or in a cache is not worth a fetch.
//
// Bounded: kDirectoryCountMax directories, and the bytes of those listings that nobody reads or
// keeps; the ones used longest ago go first; kForeseenCountMax files, and the engine bounds their
// bytes. A directory nobody reads from for kKeptFor goes the next time anything is opened.
//
// No lock is held while the engine is called. Thread-safe; never waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/object.h"
#include "fs/directory_listing.h"
#include "fs/directory_order.h"
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
  static constexpr size_t kForeseenCountMax = 1024;
  static constexpr size_t kLeftOverMax = 64;
  static constexpr size_t kReadMax = 64;
  static constexpr Duration kKeptFor = std::chrono::seconds(30);

  // They outlive this.
  DirectoryWalks(ReadEngine& engine, KnownNames& names, const Clock& clock,
                 const ListingMemory& memory, uint64_t listing_bytes_max)
      : engine_(engine),
        names_(names),
        clock_(clock),
        memory_(memory),
        listing_bytes_max_(listing_bytes_max) {}

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

  struct Order {
    DirectoryOrder order{};
    WalkDetector detector{};
  };

  // Guarded by mutex_, but for the listing.
  struct Directory {
    explicit Directory(std::shared_ptr<DirectoryListing> listing_) : listing(std::move(listing_)) {}

    const std::shared_ptr<DirectoryListing> listing;  // its own synchronization
    bool removed = false;                             // from here; nothing is fetched any more
    Instant used_at{};
    uint64_t read_count = 0;
    std::deque<Order> orders{1};  // that of the listing first; no order goes
    bool asked_for_orders = false;
    // By index; null while the engine is asked for it.
    std::unordered_map<size_t, std::shared_ptr<ObjectReader>> foreseen;
    std::deque<size_t> left_over;  // indices of foreseen files that no walk wants any more
    std::deque<size_t> read;       // the last ones, by index, each once
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
  static void NoteRead(Directory& directory, size_t index);  // guarded as the directory is
  void Show(Directory& directory, size_t index, std::vector<Wanted>& wanted, Readers& gone)
      REQUIRES(mutex_);
  void Show(Directory& directory, Order& order, size_t index, std::vector<Wanted>& wanted,
            Readers& gone) REQUIRES(mutex_);
  void Fetch(Directory& directory, const std::vector<Wanted>& wanted) EXCLUDES(mutex_);
  void AddOrders(Directory& directory) EXCLUDES(mutex_);
  void Sweep(Readers& gone) REQUIRES(mutex_);
  void Reclaim(Readers& gone) REQUIRES(mutex_);
  void MakeRoom(Readers& gone) REQUIRES(mutex_);
  void Remove(Directories::iterator row, Readers& gone) REQUIRES(mutex_);
  void LetGo(Directory& directory, size_t index, Readers& gone) REQUIRES(mutex_);
  void LeaveOver(Directory& directory, const Order& order,
                 std::span<const WalkDetector::Place> places, Readers& gone) REQUIRES(mutex_);

  ReadEngine& engine_;
  KnownNames& names_;  // has listings of directories that went from here
  const Clock& clock_;
  const ListingMemory& memory_;  // of all listings
  const uint64_t listing_bytes_max_;

  Mutex mutex_;
  Directories directories_ GUARDED_BY(mutex_);  // by prefix
  size_t foreseen_count_ GUARDED_BY(mutex_) = 0;
  Instant swept_at_ GUARDED_BY(mutex_){};
};

}  // namespace shoal
