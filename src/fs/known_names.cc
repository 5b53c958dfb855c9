#include "fs/known_names.h"

#include <chrono>

namespace shoal {
namespace {

using Kind = NameFact::Kind;

// A directory holds no bytes, so a stale one shows a name for longer or hides a new file
// of that name, and no more. Paths are walked often and deep.
constexpr Duration kDirectoryNameValidFor = std::chrono::seconds(10);

// With paths of usual length about a million names, as docs/options.md says.
constexpr size_t kMetadataBytesMax = 256 * kMiB;

NameFact FactOf(const ListedEntry& entry) {
  return {.kind = entry.is_directory ? Kind::kDirectory : Kind::kFile, .object = entry.object};
}

}  // namespace

KnownNames::KnownNames(const FileSystemOptions& options, const Clock& clock,
                       const ListingMemory& memory)
    : believes_(options.metadata_cache),
      clock_(clock),
      listed_name_valid_for_(std::chrono::seconds(options.name_valid_seconds)),
      listings_(clock, memory, options.listing_bytes_max / kLeftOverShare),
      verified_(clock),
      directories_(clock, LimitsOf(options)),
      metadata_(clock, std::chrono::seconds(options.directory_cache_valid_seconds),
                kMetadataBytesMax) {}

std::optional<KnownNames::Known> KnownNames::Find(const std::string& prefix,
                                                  std::string_view name) {
  return believes_ ? FindBelieved(prefix, name) : FindJustSeen(prefix, name);
}

std::optional<KnownNames::Known> KnownNames::FindBelieved(const std::string& prefix,
                                                          std::string_view name) {
  if (std::optional<NameFact> fact = metadata_.Find(prefix + std::string(name)))
    return Known{*std::move(fact), kForEver};
  // What a whole listing lacks is not there. What it has and the metadata cache has not was
  // found to be different, or had to make room: the store is asked.
  const std::shared_ptr<DirectoryListing> listing = directories_.Find(prefix);
  if (listing && listing->begin().metadata_clear_count == metadata_.clear_count() &&
      !listing->Find(name))
    return Known{NameFact{}, Duration::zero()};
  return std::nullopt;
}

std::optional<KnownNames::Known> KnownNames::FindJustSeen(const std::string& prefix,
                                                          std::string_view name) {
  std::optional<VerifiedNames::Verified> verified =
      verified_.TakeForLookup(prefix + std::string(name));
  std::optional<DirectoryListing::Found> listed = listings_.Find(prefix, name);
  if (listed && listed->entry.object.storage_class == StorageClass::kLink) listed.reset();
  const bool verified_is_newer = verified && (!listed || verified->as_of >= listed->as_of);
  if (verified_is_newer && verified->gone) return std::nullopt;  // or there again: that is asked
  if (verified_is_newer &&
      (listed || clock_.Now() - verified->as_of <= VerifiedNames::kCreditValidFor))
    return Known{NameFact{Kind::kFile, std::move(verified->object)}, Duration::zero()};
  if (!listed) return std::nullopt;
  return Known{FactOf(listed->entry), ListedValidFor(prefix, listed->entry)};
}

bool KnownNames::ListsFile(const std::string& prefix, std::string_view name) {
  const std::shared_ptr<DirectoryListing> listing = directories_.Find(prefix);
  if (!listing) return false;
  const std::optional<DirectoryListing::Found> found = listing->Find(name);
  return found && !found->entry.is_directory;
}

bool KnownNames::MayOpen(const ObjectInfo& object) {
  // A restore changes the class of an object and not its version: the store is asked.
  if (object.storage_class != StorageClass::kReadable) return false;
  return believes_ ? metadata_.HasFile(object) : verified_.SpendCredit(object.version);
}

Duration KnownNames::ListedValidFor(const std::string& prefix, const ListedEntry& entry) {
  if (believes_ && (entry.is_directory ? metadata_.HasDirectory(prefix + entry.name)
                                       : metadata_.HasFile(entry.object)))
    return kForEver;
  return entry.is_directory ? kDirectoryNameValidFor : listed_name_valid_for_.load();
}

Duration KnownNames::AddLookedUp(const std::string& prefix, std::string_view name,
                                 const NameFact& fact, uint64_t clear_count) {
  directories_.Compare(prefix, name, fact);
  if (believes_)
    return metadata_.Add(prefix + std::string(name), fact, clear_count) ? kForEver
                                                                        : Duration::zero();
  if (fact.kind == Kind::kFile) verified_.AddWithCredit(fact.object);
  return fact.kind == Kind::kDirectory ? kDirectoryNameValidFor : Duration::zero();
}

void KnownNames::AddAskedToOpen(const ObjectInfo& opening, const NameFact& fact,
                                uint64_t clear_count) {
  const std::string_view key = opening.version.key;
  const size_t name_at = key.rfind('/') + 1;  // 0 if there is none
  directories_.Compare(key.substr(0, name_at), key.substr(name_at), fact);
  if (believes_) {
    metadata_.Add(key, fact, clear_count);
  } else if (fact.kind != Kind::kFile) {
    verified_.AddGone(key);
  } else if (fact.object.version != opening.version || !SameTime(fact.object, opening)) {
    verified_.AddReplaced(fact.object);
  }
}

ListingBegin KnownNames::BeginListing() const {
  return {.at = clock_.Now(),
          .directory_clear_count = directories_.clear_count(),
          .metadata_clear_count = metadata_.clear_count()};
}

void KnownNames::AddListed(const std::string& prefix, std::span<const ListedEntry> entries,
                           const ListingBegin& begin) {
  if (believes_) metadata_.AddListed(prefix, entries, begin.metadata_clear_count);
}

void KnownNames::OpenedListing(const std::shared_ptr<DirectoryListing>& listing) {
  if (!believes_) listings_.Set(listing->prefix(), listing);
}

void KnownNames::ClearDirectories() {
  directories_.Clear();
  listings_.Clear();
}

void KnownNames::ClearMetadata() {
  metadata_.Clear();
  listings_.Clear();
  verified_.Clear();
}

}  // namespace shoal
