// A FileSystem in memory, with gates: a test closes one, waits until so many calls stand at
// it, and opens it again.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fs/file_system.h"

namespace shoal {

// Open at first. Thread-safe.
class Gate {
 public:
  void Close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  void Open() {
    const std::scoped_lock lock(mutex_);
    closed_ = false;
    changed_.notify_all();
  }
  [[nodiscard]] bool closed() const {
    const std::scoped_lock lock(mutex_);
    return closed_;
  }
  // For a call that waits on its thread.
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_count_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !closed_; });
    --waiting_count_;
  }
  void WaitUntilWaiting(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_count_ >= count; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  size_t waiting_count_ = 0;
};

// Thread-safe. What the kernel holds is counted, so that a test can see what leaks.
class MemoryFileSystem final : public FileSystem {
 public:
  MemoryFileSystem() { nodes_[kRootInode].is_directory = true; }

  // Not to be called while mounted. Returns the new inode.
  InodeId AddFile(InodeId parent, const std::string& name, std::string contents) {
    return Add(parent, name, Node{false, std::move(contents), {}, {}});
  }
  InodeId AddDirectory(InodeId parent, const std::string& name) {
    return Add(parent, name, Node{true, {}, {}, {}});
  }

  Gate lookup_gate;
  Gate open_gate;
  Gate attributes_gate;  // GetAttributes is called by threads that receive
  // Closed: reads are kept, not waited for, until ReleaseReads.
  void ParkReads() {
    const std::scoped_lock lock(mutex_);
    park_reads_ = true;
  }
  void WaitUntilParked(size_t count) {
    std::unique_lock lock(mutex_);
    read_parked_.wait(lock, [&] { return parked_.size() >= count; });
  }
  // Answers them on this thread.
  void ReleaseReads() {
    std::vector<ParkedRead> parked;
    {
      const std::scoped_lock lock(mutex_);
      park_reads_ = false;
      parked.swap(parked_);
    }
    for (ParkedRead& read : parked) Answer(read.handle, read.range, read.done);
  }
  // 0: `error` never comes. Else every read fails with it.
  void FailReads(Error error) {
    const std::scoped_lock lock(mutex_);
    read_error_ = std::move(error);
  }
  // The next open of `inode` finds that it is another version now.
  void ChangeOnce(InodeId inode) {
    const std::scoped_lock lock(mutex_);
    changed_.insert(inode);
  }

  // Opens of `inode` come with this from now on; null: with none.
  void SetWhole(InodeId inode, std::shared_ptr<const WholeFile> whole) {
    const std::scoped_lock lock(mutex_);
    whole_[inode] = std::move(whole);
  }
  // Whether OpenIfKnown knows; at first it does not.
  void SetOpensKnown(bool known) {
    const std::scoped_lock lock(mutex_);
    known_opens_ = known;
  }
  // Whether ReadNow has the bytes; at first it does not.
  void SetReadsAtHand(bool at_hand) {
    const std::scoped_lock lock(mutex_);
    reads_at_hand_ = at_hand;
  }
  // Before mounting; a second at first.
  void SetValidFor(Duration valid_for) { valid_for_ = valid_for; }

  [[nodiscard]] size_t lookup_count() const {
    const std::scoped_lock lock(mutex_);
    return lookup_count_;
  }
  // Of Read, not of ReadNow.
  [[nodiscard]] size_t read_count() const {
    const std::scoped_lock lock(mutex_);
    return read_count_;
  }
  [[nodiscard]] size_t read_now_count() const {
    const std::scoped_lock lock(mutex_);
    return read_now_count_;
  }
  [[nodiscard]] uint64_t remembered_count(InodeId inode) const {
    const std::scoped_lock lock(mutex_);
    const auto found = remembered_.find(inode);
    return found == remembered_.end() ? 0 : found->second;
  }
  void WaitUntilAllReleased() {
    std::unique_lock lock(mutex_);
    handle_released_.wait(lock, [this] { return handles_.empty(); });
  }
  [[nodiscard]] size_t open_handle_count() const {
    const std::scoped_lock lock(mutex_);
    return handles_.size();
  }

  Result<Entry> Lookup(InodeId parent, std::string_view name, Deadline) override {
    lookup_gate.Pass();
    const std::scoped_lock lock(mutex_);
    return LookupLocked(parent, name);
  }
  std::optional<Result<Entry>> LookupIfKnown(InodeId parent, std::string_view name) override {
    if (lookup_gate.closed()) return std::nullopt;
    const std::scoped_lock lock(mutex_);
    if (!known_names_) return std::nullopt;
    return LookupLocked(parent, name);
  }
  void SetNamesKnown(bool known) {
    const std::scoped_lock lock(mutex_);
    known_names_ = known;
  }
  void Forget(InodeId inode, uint64_t count) override {
    const std::scoped_lock lock(mutex_);
    if ((remembered_[inode] -= count) == 0) remembered_.erase(inode);
  }
  size_t inode_count() const override {
    const std::scoped_lock lock(mutex_);
    return remembered_.size();
  }
  size_t inode_count_max() const override { return inode_count_max_; }
  void SetInodeCountMax(size_t count) { inode_count_max_ = count; }  // before mounting
  std::vector<InodeId> NextInodes(size_t count) override {
    const std::scoped_lock lock(mutex_);
    std::vector<InodeId> inodes;
    for (size_t i = 0; i < remembered_.size() && inodes.size() < count; ++i) {
      auto next = remembered_.upper_bound(last_given_);
      if (next == remembered_.end()) next = remembered_.begin();
      inodes.push_back(last_given_ = next->first);
    }
    return inodes;
  }
  Result<Entry> GetAttributes(InodeId inode) override {
    attributes_gate.Pass();
    const std::scoped_lock lock(mutex_);
    if (!nodes_.contains(inode)) return Fail(Errc::kChanged, "no such inode");
    return EntryOf(inode);
  }
  Result<OpenedFile> Open(InodeId inode, Deadline) override {
    open_gate.Pass();
    const std::scoped_lock lock(mutex_);
    return OpenLocked(inode);
  }
  std::optional<Result<OpenedFile>> OpenIfKnown(InodeId inode) override {
    const std::scoped_lock lock(mutex_);
    if (!known_opens_) return std::nullopt;
    return OpenLocked(inode);
  }
  std::optional<size_t> ReadNow(HandleId handle, uint64_t offset,
                                std::span<std::byte> out) override {
    const std::scoped_lock lock(mutex_);
    const auto found = handles_.find(handle);
    if (!reads_at_hand_ || found == handles_.end()) return std::nullopt;
    ++read_now_count_;
    const std::string& contents = nodes_[found->second].contents;
    const uint64_t begin = std::min<uint64_t>(offset, contents.size());
    const size_t length = std::min<size_t>(out.size(), contents.size() - begin);
    std::memcpy(out.data(), contents.data() + begin, length);
    return length;
  }
  void Read(HandleId handle, ByteRange range, ReadDone done) override {
    {
      const std::scoped_lock lock(mutex_);
      ++read_count_;
      if (park_reads_) {
        parked_.push_back({handle, range, std::move(done)});
        read_parked_.notify_all();
        return;
      }
    }
    Answer(handle, range, done);
  }
  Result<HandleId> OpenDirectory(InodeId directory) override {
    const std::scoped_lock lock(mutex_);
    return NewHandle(directory);
  }
  Result<std::vector<DirectoryEntry>> ReadDirectory(HandleId handle, uint64_t cookie,
                                                    size_t count_max, Deadline) override {
    const std::scoped_lock lock(mutex_);
    const auto found = handles_.find(handle);
    if (found == handles_.end()) return Fail(Errc::kInvalid, "no such handle");
    const Node& directory = nodes_[found->second];
    std::vector<DirectoryEntry> entries;
    const auto add = [&](const std::string& name, InodeId inode, uint64_t index) {
      if (index >= cookie && entries.size() < count_max)
        entries.push_back({name, EntryOf(inode), index + 1});
    };
    add(".", found->second, 0);
    add("..", kRootInode, 1);
    for (uint64_t i = cookie > 2 ? cookie - 2 : 0;
         i < directory.children.size() && entries.size() < count_max; ++i)
      add(directory.children[i].first, directory.children[i].second, i + 2);
    return entries;
  }
  InodeId Remember(HandleId, const DirectoryEntry& entry) override {
    const std::scoped_lock lock(mutex_);
    ++remembered_[entry.entry.attributes.inode];
    return entry.entry.attributes.inode;
  }
  void Release(HandleId handle) override {
    const std::scoped_lock lock(mutex_);
    handles_.erase(handle);
    handle_released_.notify_all();
  }
  bool Unkeep(HandleId handle) override {
    const std::scoped_lock lock(mutex_);
    kept_.erase(handle);
    return handles_.contains(handle);
  }
  void Keep(HandleId handle, const OpenNote& note) override {
    const std::scoped_lock lock(mutex_);
    const InodeId inode = handles_.at(handle);
    kept_[handle] = {handle, inode, nodes_[inode].is_directory, note};
  }
  // This outlives a session, and so what the session before left is what is open.
  std::vector<KeptHandle> HandlesLeft() override {
    const std::scoped_lock lock(mutex_);
    std::vector<KeptHandle> left;
    for (const auto& [handle, kept] : kept_) left.push_back(kept);
    return left;
  }
  void ClearDirectoryCache() override {
    const std::scoped_lock lock(mutex_);
    ++directory_clear_count_;
  }
  void SetDirectoryCacheLimits(const DirectoryCacheLimits&) override {}
  void SetMissingValidFor(Duration) override {}
  void SetListedNameValidFor(Duration) override {}
  void ClearMetadataCache() override {
    const std::scoped_lock lock(mutex_);
    ++metadata_clear_count_;
  }
  [[nodiscard]] int directory_clear_count() const {
    const std::scoped_lock lock(mutex_);
    return directory_clear_count_;
  }
  [[nodiscard]] int metadata_clear_count() const {
    const std::scoped_lock lock(mutex_);
    return metadata_clear_count_;
  }
  Usage GetUsage() override {
    return {.total_bytes = 1 << 30,
            .used_bytes = 1 << 20,
            .object_count_max = 1 << 20,
            .object_count = nodes_.size()};
  }

 private:
  struct Node {
    bool is_directory = false;
    std::string contents;
    std::vector<std::pair<std::string, InodeId>> children;
    std::map<std::string, InodeId, std::less<>> by_name;
  };
  struct ParkedRead {
    HandleId handle;
    ByteRange range;
    ReadDone done;
  };

  InodeId Add(InodeId parent, const std::string& name, Node node) {
    const std::scoped_lock lock(mutex_);
    const InodeId inode = next_inode_++;
    nodes_[inode] = std::move(node);
    nodes_[parent].children.emplace_back(name, inode);
    nodes_[parent].by_name.emplace(name, inode);
    return inode;
  }
  HandleId NewHandle(InodeId inode) {
    handles_[next_handle_] = inode;
    return next_handle_++;
  }
  Entry EntryOf(InodeId inode) {
    const Node& node = nodes_[inode];
    return {.attributes = {.inode = inode,
                           .is_directory = node.is_directory,
                           .size_bytes = node.contents.size(),
                           .modified_unix_seconds = 1'700'000'000},
            .name_valid_for = valid_for_,
            .attributes_valid_for = valid_for_};
  }
  Result<OpenedFile> OpenLocked(InodeId inode) {
    if (changed_.erase(inode) > 0) return Fail(Errc::kChanged, "another version");
    return OpenedFile{.handle = NewHandle(inode), .whole = whole_[inode]};
  }
  Result<Entry> LookupLocked(InodeId parent, std::string_view name) {
    ++lookup_count_;
    const Node& directory = nodes_[parent];
    const auto found = directory.by_name.find(name);
    if (found == directory.by_name.end()) return Fail(Errc::kNotFound, "no such name");
    ++remembered_[found->second];
    return EntryOf(found->second);
  }
  // In two pieces, as a real reader's segments are.
  void Answer(HandleId handle, ByteRange range, const ReadDone& done) {
    const std::string* contents = nullptr;
    Error error{};
    bool failing = false;
    {
      const std::scoped_lock lock(mutex_);
      const auto found = handles_.find(handle);
      if (found != handles_.end()) contents = &nodes_[found->second].contents;
      failing = !read_error_.detail.empty();
      error = read_error_;
    }
    if (failing) return done(tl::unexpected(error));
    if (contents == nullptr) return done(Fail(Errc::kInvalid, "no such handle"));
    const uint64_t begin = std::min<uint64_t>(range.offset, contents->size());
    const uint64_t end = std::min<uint64_t>(range.end(), contents->size());
    const auto bytes = std::as_bytes(std::span(*contents)).subspan(begin, end - begin);
    const std::span<const std::byte> pieces[] = {bytes.first(bytes.size() / 2),
                                                 bytes.subspan(bytes.size() / 2)};
    done(std::span<const std::span<const std::byte>>(pieces));
  }

  Duration valid_for_ = std::chrono::seconds(1);

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable read_parked_;
  std::condition_variable handle_released_;
  std::map<InodeId, Node> nodes_;  // contents do not change while mounted
  std::map<InodeId, uint64_t> remembered_;
  InodeId last_given_ = 0;
  size_t inode_count_max_ = ~size_t{0};
  std::map<HandleId, InodeId> handles_;
  std::map<HandleId, KeptHandle> kept_;
  std::set<InodeId> changed_;
  std::map<InodeId, std::shared_ptr<const WholeFile>> whole_;
  std::vector<ParkedRead> parked_;
  bool park_reads_ = false;
  bool known_names_ = true;
  bool known_opens_ = false;
  bool reads_at_hand_ = false;
  size_t lookup_count_ = 0;
  size_t read_count_ = 0;
  size_t read_now_count_ = 0;
  Error read_error_{};
  InodeId next_inode_ = 2;
  HandleId next_handle_ = 1;
  int directory_clear_count_ = 0;
  int metadata_clear_count_ = 0;
};

}  // namespace shoal
