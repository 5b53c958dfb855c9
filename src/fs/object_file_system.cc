#include "fs/object_file_system.h"

#include <atomic>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "base/thread_pool.h"
#include "fs/bucket_usage.h"
#include "fs/directory_listing.h"
#include "fs/inode_table.h"
#include "fs/latest_listings.h"
#include "fs/verified_names.h"

namespace shoal {
namespace {

// An inode is one version of an object: what is said of it never changes.
constexpr Duration kForEver = std::chrono::hours(24 * 365);

// A directory holds no bytes, so a stale one shows a name for longer or hides a new file
// of that name, and no more. Paths are walked often and deep.
constexpr Duration kDirectoryNameValidFor = std::chrono::seconds(10);

// Listings read ahead, and the directory half of look-ups.
constexpr size_t kRequestThreadsMax = 64;

// OSS and S3 refuse to store a longer one, and would call a look-up of it invalid.
constexpr size_t kKeyBytesMax = 1024;

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
  }
  return "an unknown class";
}

struct FileHandle {
  std::string key;
  std::shared_ptr<ObjectReader> reader;
};

struct DirectoryHandle {
  std::shared_ptr<const Inode> inode;
  std::shared_ptr<DirectoryListing> listing;
};

class ObjectFileSystem final : public FileSystem {
 public:
  ObjectFileSystem(const FileSystemOptions& options, ObjectStore& store, ReadEngine& engine,
                   const Clock& clock)
      : options_(options),
        store_(store),
        engine_(engine),
        clock_(clock),
        inodes_(options.prefix),
        listings_(clock),
        verified_(clock),
        usage_(store, clock, std::chrono::seconds(options.deadline_seconds)),
        pool_("shoal-list", kRequestThreadsMax) {
    RefreshUsage();
  }

  Result<Entry> Lookup(InodeId parent, std::string_view name, Deadline deadline) override {
    if (std::optional<Result<Entry>> known = LookupIfKnown(parent, name)) return *std::move(known);
    ASSIGN_OR_RETURN(const std::shared_ptr<const Inode> directory, FindDirectory(parent));
    const std::string key = directory->prefix + std::string(name);

    // Asked together: "a/b/" hides "a/b", so one answer alone is not enough.
    std::promise<Result<bool>> is_directory;
    pool_.Run([&] { is_directory.set_value(HasAnythingBelow(key + "/", deadline)); });
    Result<ObjectInfo> object = store_.Head(key, deadline);
    const Result<bool> below = is_directory.get_future().get();
    if (!below) return tl::unexpected(below.error());
    if (*below) return EntryOf(*inodes_.ReferenceDirectory(key + "/"), kDirectoryNameValidFor);
    if (!object) return tl::unexpected(std::move(object).error());
    verified_.AddWithCredit(*object);
    return EntryOf(*inodes_.ReferenceFile(*object), Duration::zero());
  }

  std::optional<Result<Entry>> LookupIfKnown(InodeId parent, std::string_view name) override {
    const Result<std::shared_ptr<const Inode>> directory = FindDirectory(parent);
    if (!directory) return tl::unexpected(directory.error());
    if (!IsPathComponent(name)) return Fail(Errc::kNotFound, "no key has such a component");

    const std::string& prefix = (*directory)->prefix;
    if (prefix.size() + name.size() > kKeyBytesMax)
      return Fail(Errc::kNotFound, "no key is so long");
    const std::optional<VerifiedNames::Verified> verified =
        verified_.TakeForLookup(prefix + std::string(name));
    const std::optional<DirectoryListing::Found> listed = listings_.Find(prefix, name);
    const bool verified_is_newer = verified && (!listed || verified->as_of >= listed->as_of);
    if (verified_is_newer &&
        (listed || clock_.Now() - verified->as_of <= VerifiedNames::kCreditValidFor))
      return EntryOf(*inodes_.ReferenceFile(verified->object), Duration::zero());
    if (!listed) return std::nullopt;
    if (listed->entry.is_directory)
      return EntryOf(*inodes_.ReferenceDirectory(prefix + std::string(name) + "/"),
                     kDirectoryNameValidFor);
    return EntryOf(*inodes_.ReferenceFile(listed->entry.object), NameValidFor());
  }

  void Forget(InodeId inode, uint64_t count) override { inodes_.Forget(inode, count); }

  Result<Entry> GetAttributes(InodeId inode) override {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Inode> found, Find(inode));
    return EntryOf(*found, Duration::zero());
  }

  Result<OpenedFile> Open(InodeId inode, Deadline deadline) override {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Inode> file, Find(inode));
    if (file->is_directory) return Fail(Errc::kIsDirectory, "opened as a file");
    ObjectInfo object = file->object;
    if (object.storage_class != StorageClass::kReadable || !verified_.SpendCredit(object.version)) {
      ASSIGN_OR_RETURN(object, store_.Head(object.version.key, deadline));
      if (object.version != file->object.version) {
        verified_.AddReplaced(object);
        return Fail(Errc::kChanged, "'" + log::Printable(object.version.key) + "' was replaced");
      }
    }
    if (object.storage_class != StorageClass::kReadable)
      return Fail(Errc::kArchived, "'" + log::Printable(object.version.key) + "' is stored as " +
                                       std::string(StorageClassName(object.storage_class)) +
                                       ": restore it before reading");
    FileHandle handle{.key = object.version.key, .reader = engine_.Open(object.version)};
    OpenedFile opened{.whole = handle.reader->Whole(deadline)};
    const std::unique_lock lock(handles_mutex_);
    opened.handle = ++last_handle_;
    files_.emplace(opened.handle, std::move(handle));
    return opened;
  }

  std::optional<Result<OpenedFile>> OpenIfKnown(InodeId) override { return std::nullopt; }

  std::optional<size_t> ReadNow(HandleId handle, uint64_t offset,
                                std::span<std::byte> out) override {
    const std::shared_ptr<ObjectReader> reader = FindReader(handle);
    if (!reader) return std::nullopt;
    return reader->ReadNow(offset, out);
  }

  void Read(HandleId handle, ByteRange range, ReadDone done) override {
    const std::shared_ptr<ObjectReader> reader = FindReader(handle);
    if (!reader) return done(Fail(Errc::kInvalid, "no open file has this handle"));
    reader->Read(range, std::move(done));
  }

  Result<HandleId> OpenDirectory(InodeId directory) override {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Inode> inode, FindDirectory(directory));
    auto listing = std::make_shared<DirectoryListing>(
        store_, pool_, clock_, inode->prefix, std::chrono::seconds(options_.deadline_seconds));
    listings_.Set(inode->prefix, listing);
    const std::unique_lock lock(handles_mutex_);
    const HandleId id = ++last_handle_;
    directories_.emplace(id, DirectoryHandle{inode, std::move(listing)});
    return id;
  }

  Result<std::vector<DirectoryEntry>> ReadDirectory(HandleId handle, uint64_t cookie,
                                                    size_t count_max, Deadline deadline) override {
    ASSIGN_OR_RETURN(const DirectoryHandle directory, FindDirectoryHandle(handle));
    std::vector<DirectoryEntry> out;
    // Cookies count the entries taken: "." and "..", then those of the listing.
    for (; cookie < 2 && out.size() < count_max; ++cookie) {
      Entry self = EntryOf(*directory.inode, Duration::zero());
      out.push_back({.name = cookie == 0 ? "." : "..", .entry = self, .next_cookie = cookie + 1});
    }
    if (!out.empty()) return out;  // the first answer waits for nothing

    ASSIGN_OR_RETURN(std::vector<ListedEntry> listed,
                     directory.listing->Read(cookie - 2, count_max, deadline));
    if (listed.empty()) ReportHidden(directory);
    out.reserve(listed.size());
    for (ListedEntry& entry : listed) {
      Inode inode{.id = 0,
                  .is_directory = entry.is_directory,
                  .prefix = entry.is_directory ? directory.inode->prefix + entry.name + "/" : "",
                  .object = std::move(entry.object)};
      inode.id = entry.is_directory ? InodeTable::NumberOf(inode.prefix)
                                    : InodeTable::NumberOf(inode.object);
      const Duration valid = entry.is_directory ? kDirectoryNameValidFor : NameValidFor();
      out.push_back(
          {.name = std::move(entry.name), .entry = EntryOf(inode, valid), .next_cookie = ++cookie});
    }
    return out;
  }

  InodeId Remember(HandleId handle, const DirectoryEntry& entry) override {
    const Result<DirectoryHandle> directory = FindDirectoryHandle(handle);
    if (!directory) return entry.entry.attributes.inode;
    const std::string& prefix = directory->inode->prefix;
    if (entry.entry.attributes.is_directory)
      return inodes_.ReferenceDirectory(prefix + entry.name + "/")->id;
    const std::optional<DirectoryListing::Found> found = directory->listing->Find(entry.name);
    if (!found) return entry.entry.attributes.inode;
    verified_.DropCredits(found->entry.object.version.key);
    return inodes_.ReferenceFile(found->entry.object)->id;
  }

  void Release(HandleId handle) override {
    FileHandle file;            // both let go after the lock: the last holder of a
    DirectoryHandle directory;  // reader ends its fetches
    {
      const std::unique_lock lock(handles_mutex_);
      if (const auto found = files_.find(handle); found != files_.end()) {
        file = std::move(found->second);
        files_.erase(found);
      } else if (const auto opened = directories_.find(handle); opened != directories_.end()) {
        directory = std::move(opened->second);
        directories_.erase(opened);
      }
    }
    directory = {};
    listings_.Sweep();
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

  std::shared_ptr<ObjectReader> FindReader(HandleId handle) const {
    const std::shared_lock lock(handles_mutex_);
    const auto found = files_.find(handle);
    return found == files_.end() ? nullptr : found->second.reader;
  }

  Result<DirectoryHandle> FindDirectoryHandle(HandleId handle) const {
    const std::shared_lock lock(handles_mutex_);
    const auto found = directories_.find(handle);
    if (found == directories_.end())
      return Fail(Errc::kInvalid, "no open directory has this handle");
    return found->second;
  }

  // A directory is there when a key begins with its prefix, its marker included.
  Result<bool> HasAnythingBelow(const std::string& prefix, Deadline deadline) {
    ASSIGN_OR_RETURN(
        const ListPage page,
        store_.List({.prefix = prefix, .delimiter = {}, .from = {}, .max_keys = 1}, deadline));
    return !page.objects.empty() || !page.common_prefixes.empty();
  }

  [[nodiscard]] Duration NameValidFor() const {
    return std::chrono::seconds(options_.name_valid_seconds);
  }

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

  // Their own synchronization.
  InodeTable inodes_;
  LatestListings listings_;
  VerifiedNames verified_;
  BucketUsageCache usage_;
  FileSystemMetrics metrics_;

  mutable std::shared_mutex handles_mutex_;  // guards what follows
  std::unordered_map<HandleId, FileHandle> files_;
  std::unordered_map<HandleId, DirectoryHandle> directories_;
  HandleId last_handle_ = 0;

  ThreadPool pool_;  // last: its work uses all of the above
};

}  // namespace

std::unique_ptr<FileSystem> MakeObjectFileSystem(const FileSystemOptions& options,
                                                 ObjectStore& store, ReadEngine& engine,
                                                 const Clock& clock) {
  return std::make_unique<ObjectFileSystem>(options, store, engine, clock);
}

}  // namespace shoal
