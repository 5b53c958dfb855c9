#include "fs/object_file_system.h"

#include <atomic>
#include <utility>

#include "base/log.h"
#include "base/thread_pool.h"
#include "fs/bucket_usage.h"
#include "fs/directory_listing.h"
#include "fs/directory_walks.h"
#include "fs/handle_table.h"
#include "fs/inode_table.h"
#include "fs/kept_handles.h"
#include "fs/known_names.h"
#include "fs/listing_memory.h"
#include "fs/name_queries.h"

namespace shoal {
namespace {

// Listings read ahead, and the directory half of look-ups.
constexpr size_t kRequestThreadsMax = 64;

std::string_view StorageClassName(StorageClass storage_class) {
  switch (storage_class) {
    case StorageClass::kReadable:
      return "a readable class";
    case StorageClass::kArchive:
      return "Archive";
    case StorageClass::kColdArchive:
      return "Cold Archive";
    case StorageClass::kDeepColdArchive:
      return "Deep Cold Archive";
    case StorageClass::kLink:
      return "a link";
  }
  return "an unknown class";
}

// Handles of one process come from a range of their own: one that another process gave out
// may still be on its way to being released.
constexpr int kGenerationShift = 40;

struct FileHandle {
  std::shared_ptr<const Inode> inode;
  std::shared_ptr<ObjectReader> reader;
  HandOver::Token token = HandOver::kNone;
  std::shared_ptr<DirectoryWalks::Step> step{};  // null: a large file, or of no known listing
};

struct DirectoryHandle {
  std::shared_ptr<const Inode> inode;
  std::shared_ptr<DirectoryListing> listing;
  std::shared_ptr<const void> reading;  // as DirectoryListing::NoteReader has it
  HandOver::Token token = HandOver::kNone;
  bool is_read = false;
};

class ObjectFileSystem final : public FileSystem {
 public:
  ObjectFileSystem(const FileSystemOptions& options, ObjectStore& store, ReadEngine& engine,
                   const Clock& clock, HandOver& hand_over, FileSystemMetrics& metrics)
      : options_(options),
        store_(store),
        engine_(engine),
        clock_(clock),
        hand_over_(hand_over),
        metrics_(metrics),
        listing_memory_(options.listing_bytes_max),
        inodes_(options.prefix, hand_over,
                options.opens_go_unasked ? InodeTable::HandsOver::kAllFiles
                                         : InodeTable::HandsOver::kFilesLookedUpLast),
        names_(options, clock, listing_memory_),
        queries_(store, clock, pool_, options.key_bytes_max),
        failed_lookups_(clock),
        failed_opens_(clock),
        walks_(engine, names_, clock, listing_memory_, options.listing_bytes_max / kLeftOverShare),
        last_handle_(hand_over.generation() << kGenerationShift),
        usage_(store, clock, std::chrono::seconds(options.deadline_seconds)),
        pool_("shoal-list", kRequestThreadsMax) {
    RestoreHandles();
    RefreshUsage();
  }

  Result<Entry> Lookup(InodeId parent, std::string_view name, Deadline deadline) override {
    if (std::optional<Result<Entry>> known = LookupIfKnown(parent, name)) return *std::move(known);
    ASSIGN_OR_RETURN(const std::shared_ptr<const Inode> directory, FindDirectory(parent));
    const uint64_t clear_count = names_.metadata_clear_count();
    const std::string key = directory->prefix + std::string(name);
    const Result<NameFact> answer = names_.ListsFile(directory->prefix, name)
                                        ? queries_.AskForKnownFile(key, deadline)
                                        : queries_.Ask(key, deadline);
    failed_lookups_.Note(key, answer);
    ASSIGN_OR_RETURN(const NameFact fact, answer);
    const Duration valid_for = names_.AddLookedUp(directory->prefix, name, fact, clear_count);
    return EntryOf(directory->prefix, name, {fact, valid_for});
  }

  std::optional<Result<Entry>> LookupIfKnown(InodeId parent, std::string_view name) override {
    const Result<std::shared_ptr<const Inode>> directory = FindDirectory(parent);
    if (!directory) return tl::unexpected(directory.error());
    if (!IsPathComponent(name)) return Fail(Errc::kNotFound, "no key has such a component");

    const std::string& prefix = (*directory)->prefix;
    // The store would call a look-up of it invalid.
    if (prefix.size() + name.size() > options_.key_bytes_max)
      return Fail(Errc::kNotFound, "no key is so long");
    const std::optional<KnownNames::Known> known = names_.Find(prefix, name);
    if (known) return EntryOf(prefix, name, *known);
    if (std::optional<Error> failed = failed_lookups_.Find(prefix + std::string(name)))
      return tl::unexpected(*std::move(failed));
    return std::nullopt;
  }

  void Forget(InodeId inode, uint64_t count) override { inodes_.Forget(inode, count); }
  size_t inode_count() const override { return inodes_.size(); }
  size_t inode_count_max() const override { return options_.inode_count_max; }
  std::vector<InodeId> NextInodes(size_t count) override { return inodes_.Next(count); }

  Result<Entry> GetAttributes(InodeId inode) override {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Inode> found, Find(inode));
    return EntryOf(*found, Duration::zero());
  }

  Result<OpenedFile> Open(InodeId inode, Deadline deadline) override {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Inode> file, FindFile(inode));
    if (!names_.MayOpen(file->object)) RETURN_IF_ERROR(AskToOpen(file->object, deadline));
    FileHandle handle = OpenReader(file);
    std::shared_ptr<const WholeFile> whole = handle.reader->Whole(deadline);
    return OpenedFile{Add(std::move(handle)), std::move(whole)};
  }

  std::optional<Result<OpenedFile>> OpenIfKnown(InodeId inode) override {
    if (!names_.believes()) return std::nullopt;
    const Result<std::shared_ptr<const Inode>> file = FindFile(inode);
    if (!file) return tl::unexpected(file.error());
    if (!names_.MayOpen((*file)->object)) return std::nullopt;
    FileHandle handle = OpenReader(*file);
    std::optional<std::shared_ptr<const WholeFile>> whole = handle.reader->WholeIfKnown();
    if (!whole) return std::nullopt;
    return OpenedFile{Add(std::move(handle)), *std::move(whole)};
  }

  std::optional<size_t> ReadNow(HandleId handle, uint64_t offset,
                                std::span<std::byte> out) override {
    const std::optional<FileHandle> file = files_.Find(handle);
    if (!file) return std::nullopt;
    return file->reader->ReadNow(offset, out);
  }

  void Read(HandleId handle, ByteRange range, ReadDone done) override {
    const std::optional<FileHandle> file = files_.Find(handle);
    if (!file) return done(Fail(Errc::kChanged, "an open file that is no longer known"));
    if (names_.believes()) {
      // It may have been opened unasked, and then this is how a change shows.
      done = [this, inode = file->inode, done = std::move(done)](auto pieces) {
        if (!pieces && pieces.error().code == Errc::kChanged)
          names_.AddChanged(inode->object.version);
        done(std::move(pieces));
      };
    }
    file->reader->Read(range, std::move(done));
    if (file->step != nullptr) walks_.OnRead(*file->step);
  }

  Result<HandleId> OpenDirectory(InodeId directory) override {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Inode> inode, FindDirectory(directory));
    const std::shared_ptr<DirectoryListing> listing = ListingFor(*inode);
    return Add(DirectoryHandle{inode, listing, listing->NoteReader()});
  }

  Result<std::vector<DirectoryEntry>> ReadDirectory(HandleId handle, uint64_t cookie,
                                                    size_t count_max, Deadline deadline) override {
    ASSIGN_OR_RETURN(const DirectoryHandle directory, FindDirectoryHandle(handle));
    if (cookie == 0 && directory.is_read) Rewind(handle, *directory.inode);
    std::vector<DirectoryEntry> out;
    // Cookies count the entries taken: "." and "..", then those of the listing.
    for (; cookie < 2 && out.size() < count_max; ++cookie) {
      Entry self = EntryOf(*directory.inode, Duration::zero());
      out.push_back({.name = cookie == 0 ? "." : "..", .entry = self, .next_cookie = cookie + 1});
    }
    if (!out.empty()) return out;  // the first answer waits for nothing

    ASSIGN_OR_RETURN(std::vector<ListedEntry> listed,
                     directory.listing->Read(cookie - 2, count_max, deadline));
    names_.ReadListing(directory.listing);
    if (!directory.is_read)
      directories_.Change(handle, [](DirectoryHandle& open) { open.is_read = true; });
    if (listed.empty()) ReportHidden(directory);
    out.reserve(listed.size());
    for (ListedEntry& entry : listed) {
      const Duration valid_for = names_.ListedValidFor(directory.inode->prefix, entry);
      Inode inode{.id = 0,
                  .is_directory = entry.is_directory,
                  .prefix = entry.is_directory ? directory.inode->prefix + entry.name + "/" : "",
                  .object = std::move(entry.object)};
      inode.id = entry.is_directory ? InodeTable::NumberOf(inode.prefix)
                                    : InodeTable::NumberOf(inode.object);
      out.push_back({.name = std::move(entry.name),
                     .entry = EntryOf(inode, valid_for),
                     .next_cookie = ++cookie});
    }
    return out;
  }

  InodeId Remember(HandleId handle, const DirectoryEntry& entry) override {
    const Result<DirectoryHandle> directory = FindDirectoryHandle(handle);
    if (!directory) return entry.entry.attributes.inode;
    if (inodes_.size() >= InodeCountEnough(options_.inode_count_max)) return 0;
    const std::string& prefix = directory->inode->prefix;
    if (entry.entry.attributes.is_directory)
      return inodes_.ReferenceDirectory(prefix + entry.name + "/")->id;
    const std::optional<DirectoryListing::Found> found = directory->listing->Find(entry.name);
    if (!found) return 0;
    if (found->entry.object.storage_class == StorageClass::kLink) return 0;  // the store is asked
    names_.GaveListed(found->entry.object);
    return inodes_.ReferenceFile(found->entry.object)->id;
  }

  void Release(HandleId handle) override {
    if (files_.Take(handle)) return;
    directories_.Take(handle);
    names_.ClosedListing();
  }

  void Keep(HandleId handle, const OpenNote& note) override {
    const bool is_file = files_.Change(handle, [&](FileHandle& file) {
      file.token = KeepFileHandle(hand_over_, handle, *file.inode, note);
    });
    if (is_file) return;
    directories_.Change(handle, [&](DirectoryHandle& directory) {
      directory.token = KeepDirectoryHandle(hand_over_, handle, *directory.inode, note);
    });
  }

  bool Unkeep(HandleId handle) override {
    const auto drop = [this](auto& open) {
      hand_over_.Drop(std::exchange(open.token, HandOver::kNone));
    };
    return files_.Change(handle, drop) || directories_.Change(handle, drop);
  }

  std::vector<KeptHandle> HandlesLeft() override { return handles_left_; }

  void ClearDirectoryCache() override {
    names_.ClearDirectories();
    walks_.Clear();
  }
  void ClearMetadataCache() override {
    names_.ClearMetadata();
    walks_.Clear();
  }
  void SetDirectoryCacheLimits(const DirectoryCacheLimits& limits) override {
    names_.SetLimits(limits);
  }
  void SetMissingValidFor(Duration valid_for) override { names_.SetMissingValidFor(valid_for); }
  void SetListedNameValidFor(Duration valid_for) override {
    names_.SetListedNameValidFor(valid_for);
  }

  Usage GetUsage() override {
    RefreshUsage();
    return usage_.Get();
  }

 private:
  Result<std::shared_ptr<const Inode>> Find(InodeId id) const {
    std::shared_ptr<const Inode> inode = inodes_.Find(id);
    if (!inode) return Fail(Errc::kChanged, "an inode that is no longer known");
    return inode;
  }

  Result<std::shared_ptr<const Inode>> FindDirectory(InodeId id) const {
    ASSIGN_OR_RETURN(std::shared_ptr<const Inode> inode, Find(id));
    if (!inode->is_directory) return Fail(Errc::kNotDirectory, "not a directory");
    return inode;
  }

  Result<std::shared_ptr<const Inode>> FindFile(InodeId id) const {
    ASSIGN_OR_RETURN(std::shared_ptr<const Inode> inode, Find(id));
    if (inode->is_directory) return Fail(Errc::kIsDirectory, "opened as a file");
    return inode;
  }

  Result<DirectoryHandle> FindDirectoryHandle(HandleId handle) const {
    std::optional<DirectoryHandle> directory = directories_.Find(handle);
    if (!directory) return Fail(Errc::kChanged, "an open directory that is no longer known");
    return *std::move(directory);
  }

  void RestoreHandles() {
    for (const LeftHandle& left : FindLeftHandles(hand_over_)) {
      if (left.kept.is_directory)
        RestoreDirectory(left);
      else
        RestoreFile(left);
      handles_left_.push_back(left.kept);
    }
  }
  void RestoreFile(const LeftHandle& left) {
    files_.Add(left.kept.handle, {inodes_.RestoreFile(left.kept.inode, left.object),
                                  engine_.Open(left.object.version), left.token});
  }
  void RestoreDirectory(const LeftHandle& left) {
    std::shared_ptr<const Inode> inode = inodes_.Find(left.kept.inode);
    if (!inode || !inode->is_directory)
      inode = std::make_shared<const Inode>(
          Inode{.id = left.kept.inode, .is_directory = true, .prefix = left.prefix, .object = {}});
    const std::shared_ptr<DirectoryListing> listing = BeginListing(inode->prefix);
    directories_.Add(left.kept.handle, {inode, listing, listing->NoteReader(), left.token});
  }

  FileHandle OpenReader(const std::shared_ptr<const Inode>& file) {
    const ObjectVersion& version = file->object.version;
    return {file, engine_.Open(version), HandOver::kNone, walks_.Open(version)};
  }

  HandleId Add(FileHandle handle) {
    const HandleId id = ++last_handle_;
    files_.Add(id, std::move(handle));
    return id;
  }
  HandleId Add(DirectoryHandle handle) {
    const HandleId id = ++last_handle_;
    directories_.Add(id, std::move(handle));
    return id;
  }

  // For somebody who opens the directory.
  std::shared_ptr<DirectoryListing> ListingFor(const Inode& directory) {
    std::shared_ptr<DirectoryListing> listing = names_.FindListing(directory.prefix);
    if (!listing) listing = BeginListing(directory.prefix);
    names_.OpenedListing(listing);
    walks_.Listed(listing);
    return listing;
  }

  // POSIX has rewinddir(3) show what opendir(3) would.
  void Rewind(HandleId handle, const Inode& directory) {
    directories_.Change(handle, [listing = ListingFor(directory)](DirectoryHandle& open) {
      open.listing = listing;
      open.reading = listing->NoteReader();
      open.is_read = false;
    });
  }

  std::shared_ptr<DirectoryListing> BeginListing(const std::string& prefix) {
    const ListingBegin begin = names_.BeginListing();
    return std::make_shared<DirectoryListing>(
        store_, pool_, clock_, listing_memory_, prefix,
        std::chrono::seconds(options_.deadline_seconds), begin,
        [this, prefix, begin](std::span<const ListedEntry> entries) {
          names_.AddListed(prefix, entries, begin);
        });
  }

  // Fails if `opening` is not the newest version, or cannot be read.
  Result<> AskToOpen(const ObjectInfo& opening, Deadline deadline) {
    // With open_requests=off reads come here, of which the kernel has the next when one failed.
    if (std::optional<Error> failed = failed_opens_.Find(opening.version.key))
      return tl::unexpected(*std::move(failed));
    const uint64_t clear_count = names_.metadata_clear_count();
    const Result<NameFact> answer = queries_.AskForKnownFile(opening.version.key, deadline);
    failed_opens_.Note(opening.version.key, answer);
    ASSIGN_OR_RETURN(const NameFact fact, answer);
    names_.AddAskedToOpen(opening, fact, clear_count);
    const std::string key = "'" + log::Printable(opening.version.key) + "'";
    if (fact.kind != NameFact::Kind::kFile) return Fail(Errc::kNotFound, key + " is gone");
    if (fact.object.version != opening.version) return Fail(Errc::kChanged, key + " was replaced");
    if (fact.object.storage_class != StorageClass::kReadable)
      return Fail(Errc::kArchived, key + " is stored as " +
                                       std::string(StorageClassName(fact.object.storage_class)) +
                                       ": restore it before reading");
    // The kernel takes attributes from a look-up, and not from an open.
    if (!SameTime(fact.object, opening)) return Fail(Errc::kChanged, key + " has another time");
    return {};
  }

  // Takes a reference on the inode.
  Result<Entry> EntryOf(const std::string& prefix, std::string_view name,
                        const KnownNames::Known& known) {
    switch (known.fact.kind) {
      case NameFact::Kind::kMissing:
        break;
      case NameFact::Kind::kFile:
        return EntryOf(*inodes_.ReferenceLookedUp(known.fact.object), known.name_valid_for);
      case NameFact::Kind::kDirectory:
        return EntryOf(*inodes_.ReferenceDirectory(prefix + std::string(name) + "/"),
                       known.name_valid_for);
    }
    return Fail(Errc::kNotFound, "the bucket has no such key");
  }

  // Whatever changes them brings the kernel here again: a look-up, or an open that says ESTALE.
  static Entry EntryOf(const Inode& inode, Duration name_valid_for) {
    return {.attributes = inode.attributes(),
            .name_valid_for = name_valid_for,
            .attributes_valid_for = kForEver};
  }

  void RefreshUsage() {
    if (usage_.ClaimRefresh()) pool_.Run([this] { usage_.Refresh(); });
  }

  // Said once a mount: a bucket can have millions of such keys.
  void ReportHidden(const DirectoryHandle& directory) {
    const uint64_t hidden = directory.listing->hidden_count();
    if (hidden == 0 || metrics_.hidden_keys.Add(hidden) != 0) return;
    log::Warn(
        "{} key(s) below '{}' cannot be named by a path (they begin with /, or have an empty, . or "
        ".. component) and are not shown, e.g. '{}'; others like them will not be reported",
        hidden, log::Printable(directory.inode->prefix),
        log::Printable(directory.listing->hidden_example()));
  }

  // Constant after construction.
  const FileSystemOptions options_;
  ObjectStore& store_;
  ReadEngine& engine_;
  const Clock& clock_;
  HandOver& hand_over_;
  FileSystemMetrics& metrics_;
  std::vector<KeptHandle> handles_left_;

  // Their own synchronization.
  ListingMemory listing_memory_;  // outlives all listings
  InodeTable inodes_;
  KnownNames names_;
  NameQueries queries_;
  FailedKeys failed_lookups_;
  FailedKeys failed_opens_;
  DirectoryWalks walks_;
  HandleTable<FileHandle> files_;
  HandleTable<DirectoryHandle> directories_;
  std::atomic<HandleId> last_handle_;
  BucketUsageCache usage_;
  ThreadPool pool_;  // last: its work uses all of the above
};

}  // namespace

DirectoryCacheLimits LimitsOf(const FileSystemOptions& options) {
  const Duration kept_for = std::chrono::seconds(options.directory_cache_valid_seconds);
  if (!options.directory_cache) return {};
  return {.entry_count_max = options.directory_cache_entry_count_max,
          .size_bytes_max = options.directory_cache_size_bytes_max,
          .kept_for = kept_for};
}

std::unique_ptr<FileSystem> MakeObjectFileSystem(const FileSystemOptions& options,
                                                 ObjectStore& store, ReadEngine& engine,
                                                 const Clock& clock, HandOver& hand_over,
                                                 FileSystemMetrics& metrics) {
  return std::make_unique<ObjectFileSystem>(options, store, engine, clock, hand_over, metrics);
}

}  // namespace shoal
