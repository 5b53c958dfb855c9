// What may be said of names without asking the store, and for how long: the policy over the
// caches of names, listings and answers to HEAD.
//
// By default opens are close-to-open: the store is asked once an open (VerifiedNames), and
// look-ups in a directory are answered from its listing for seconds after it was opened
// (LatestListings). With the metadata cache, what was said of a name is believed until
// cleared. In either mode whole listings are kept for those who open a directory again.
// Thread-safe; never waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "fs/directory_cache.h"
#include "fs/directory_listing.h"
#include "fs/latest_listings.h"
#include "fs/metadata_cache.h"
#include "fs/object_file_system.h"
#include "fs/verified_names.h"

namespace shoal {

// Of the memory for listings that are not kept: what may hold some for a while that nobody reads
// any more, look-ups and programs that read the files of a directory each.
inline constexpr uint64_t kLeftOverShare = 4;

// "Until told to forget", in the time that the kernel counts in.
inline constexpr Duration kForEver = std::chrono::hours(24 * 365);

class KnownNames {
 public:
  struct Known {
    NameFact fact;
    Duration name_valid_for{};
  };

  // `clock` and `memory`, that of all listings, outlive this.
  KnownNames(const FileSystemOptions& options, const Clock& clock, const ListingMemory& memory);

  // For a look-up. Empty: the store has to be asked.
  std::optional<Known> Find(const std::string& prefix, std::string_view name);
  // Whether the kept listing has it as a file: then no directory is known to hide it.
  [[nodiscard]] bool ListsFile(const std::string& prefix, std::string_view name);
  // Whether the newest version is taken to be this one, so that it opens without asking.
  bool MayOpen(const ObjectInfo& object);
  // How long the kernel may trust an entry that a listing gives it.
  Duration ListedValidFor(const std::string& prefix, const ListedEntry& entry);
  // It was given `object` so: an open may come without a look-up of its own.
  void GaveListed(const ObjectInfo& object) { verified_.DropCredits(object.version.key); }

  // Taken before the store is asked, given back with what it said: of what was asked before
  // a cache was cleared nothing is kept there.
  [[nodiscard]] uint64_t metadata_clear_count() const { return metadata_.clear_count(); }
  // The store was asked by a look-up. Answers how long the kernel may trust it.
  Duration AddLookedUp(const std::string& prefix, std::string_view name, const NameFact& fact,
                       uint64_t clear_count);
  // The store was asked by an open of `opening`, as the kernel knows it.
  void AddAskedToOpen(const ObjectInfo& opening, const NameFact& fact, uint64_t clear_count);
  // A read found that the object is not this version any more.
  void AddChanged(const ObjectVersion& version) { metadata_.Drop(version); }

  // The kept listing of a directory, or null: then one is begun with the next two.
  std::shared_ptr<DirectoryListing> FindListing(const std::string& prefix) {
    return directories_.Find(prefix);
  }
  [[nodiscard]] ListingBegin BeginListing() const;
  void AddListed(const std::string& prefix, std::span<const ListedEntry> entries,
                 const ListingBegin& begin);
  // A reader opened the directory and was given this listing; has read of it; has closed it.
  void OpenedListing(const std::shared_ptr<DirectoryListing>& listing);
  void ReadListing(const std::shared_ptr<DirectoryListing>& listing) { directories_.Keep(listing); }
  void ClosedListing() { listings_.Sweep(); }

  void ClearDirectories();
  void ClearMetadata();

  // What g_readdircache_* say, from now on.
  void SetLimits(const DirectoryCacheLimits& limits) { directories_.SetLimits(limits); }
  void SetMissingValidFor(Duration valid_for) { metadata_.SetMissingValidFor(valid_for); }
  void SetListedNameValidFor(Duration valid_for) { listed_name_valid_for_ = valid_for; }

  // Whether opens of known names ask nothing.
  [[nodiscard]] bool believes() const { return believes_; }

 private:
  std::optional<Known> FindBelieved(const std::string& prefix, std::string_view name);
  std::optional<Known> FindJustSeen(const std::string& prefix, std::string_view name);

  // Constant after construction.
  const bool believes_;
  const Clock& clock_;

  std::atomic<Duration> listed_name_valid_for_;

  // Their own synchronization.
  LatestListings listings_;
  VerifiedNames verified_;
  DirectoryCache directories_;
  MetadataCache metadata_;
};

}  // namespace shoal
