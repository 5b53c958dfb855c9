// A file system over a bucket in memory, and what a kernel would do with it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fs/object_file_system.h"
#include "testing/adjustable_clock.h"
#include "testing/memory_object_store.h"

namespace shoal {

// Reads straight from the store: what reading ahead does is not these tests' business.
class DirectEngine final : public ReadEngine {
 public:
  explicit DirectEngine(ObjectStore& store) : store_(store) {}
  std::shared_ptr<ObjectReader> Open(const ObjectVersion& version) override {
    return std::make_shared<Reader>(store_, version);
  }
  void SetMemory(uint64_t) override {}
  void SetFetchCountMax(uint64_t) override {}
  std::shared_ptr<ObjectReader> Foresee(const ObjectVersion&) override { return nullptr; }

 private:
  struct Text final : ByteSink {
    std::string text;
    bool Append(std::span<const std::byte> bytes) override {
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return true;
    }
  };
  struct Reader final : ObjectReader {
    Reader(ObjectStore& s, ObjectVersion v) : store(s), version(std::move(v)) {}
    void Read(ByteRange range, ReadDone done) override {
      Text text;
      const auto got = store.Get(version, range, text, {});
      if (!got) return done(tl::unexpected(got.error()));
      const std::span<const std::byte> piece = std::as_bytes(std::span(text.text));
      done(std::span(&piece, 1));
    }
    std::optional<size_t> ReadNow(uint64_t, std::span<std::byte>) override { return std::nullopt; }
    std::shared_ptr<const WholeFile> Whole(Deadline) override { return nullptr; }
    std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown() override { return nullptr; }
    ObjectStore& store;
    ObjectVersion version;
  };
  ObjectStore& store_;
};

// Calls a hook when the store has answered and its caller does not know yet: the place for
// what happens while a request is on its way.
class HookedStore final : public ObjectStore {
 public:
  explicit HookedStore(ObjectStore& store) : store_(store) {}
  // Set while no call is under way.
  std::function<void()> after_head = [] {};
  std::function<void()> after_list = [] {};

  Result<ObjectInfo> Head(std::string_view key, Deadline deadline) override {
    Result<ObjectInfo> object = store_.Head(key, deadline);
    after_head();
    return object;
  }
  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline deadline) override {
    return store_.Get(version, range, sink, deadline);
  }
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override {
    Result<ListPage> page = store_.List(query, deadline);
    after_list();
    return page;
  }
  Result<BucketUsage> Usage(Deadline deadline) override { return store_.Usage(deadline); }

 private:
  ObjectStore& store_;
};

class ObjectFileSystemFixture : public ::testing::Test {
 protected:
  void Mount(const FileSystemOptions& options = {}) {
    file_system_ =
        MakeObjectFileSystem(options, hooked_store_, engine_, clock_, hand_over_, metrics_);
  }
  Deadline Soon() { return Deadline::After(clock_, std::chrono::seconds(30)); }

  Result<Entry> Walk(const std::string& path) {
    Result<Entry> entry = file_system_->GetAttributes(kRootInode);
    for (size_t start = 0; entry && start < path.size();) {
      const size_t end = std::min(path.find('/', start), path.size());
      entry =
          file_system_->Lookup(entry->attributes.inode, path.substr(start, end - start), Soon());
      start = end + 1;
    }
    return entry;
  }
  // HEADs and LISTs sent meanwhile.
  int RequestsOf(const std::function<void()>& work) {
    const MemoryObjectStore::Calls before = store_.calls();
    work();
    const MemoryObjectStore::Calls after = store_.calls();
    return after.head - before.head + after.list - before.list;
  }
  // As open(2): told that the inode is stale, the kernel walks the path once more.
  Result<HandleId> OpenPath(const std::string& path) {
    Result<OpenedFile> opened;
    for (int attempt = 0; attempt < 2; ++attempt) {
      const Result<Entry> entry = Walk(path);
      if (!entry) return tl::unexpected(entry.error());
      const InodeId inode = entry->attributes.inode;
      if (std::optional<Result<OpenedFile>> known = file_system_->OpenIfKnown(inode))
        opened = *std::move(known);
      else
        opened = file_system_->Open(inode, Soon());
      if (opened || opened.error().code != Errc::kChanged) break;
    }
    if (!opened) return tl::unexpected(opened.error());
    return opened->handle;
  }
  Result<std::string> ReadAll(HandleId handle, uint64_t size) {
    Result<std::string> out;
    file_system_->Read(handle, {0, size}, [&](auto pieces) {
      if (!pieces) {
        out = tl::unexpected(pieces.error());
        return;
      }
      for (const auto& piece : *pieces)
        out->append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    return out;
  }
  Result<std::string> ReadPath(const std::string& path) {
    ASSIGN_OR_RETURN(const HandleId handle, OpenPath(path));
    Result<std::string> text = ReadAll(handle, Walk(path)->attributes.size_bytes);
    file_system_->Release(handle);
    return text;
  }
  // "name" for files, "name/" for directories; "." and ".." left out.
  Result<std::set<std::string>> ListPath(const std::string& path) {
    const Result<Entry> entry = Walk(path);
    if (!entry) return tl::unexpected(entry.error());
    ASSIGN_OR_RETURN(const HandleId handle, file_system_->OpenDirectory(entry->attributes.inode));
    std::set<std::string> names;
    uint64_t cookie = 0;
    while (true) {
      ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries,
                       file_system_->ReadDirectory(handle, cookie, 7, Soon()));
      if (entries.empty()) break;
      for (const DirectoryEntry& found : entries) {
        cookie = found.next_cookie;
        if (found.name != "." && found.name != "..")
          names.insert(found.name + (found.entry.attributes.is_directory ? "/" : ""));
      }
    }
    file_system_->Release(handle);
    return names;
  }

  AdjustableClock clock_;
  NoHandOver hand_over_;
  FileSystemMetrics metrics_;
  MemoryObjectStore store_;
  HookedStore hooked_store_{store_};
  DirectEngine engine_{store_};
  std::unique_ptr<FileSystem> file_system_;
};

}  // namespace shoal
