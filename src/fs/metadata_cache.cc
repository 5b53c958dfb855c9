#include "fs/metadata_cache.h"

#include <xxhash.h>

#include <cstdlib>
#include <utility>

namespace shoal {
namespace {

// Of a map node: its link, its hash, its slot and the header of its allocation.
constexpr size_t kNodeBytes = 32;

// What a string has on the heap.
size_t HeapBytes(const std::string& text) {
  return text.capacity() <= std::string().capacity() ? 0 : text.capacity() + 1 + 16;
}

}  // namespace

bool SameTime(const ObjectInfo& one, const ObjectInfo& other) {
  return std::abs(one.modified_unix_seconds - other.modified_unix_seconds) <= 1;
}

bool LookAlike(const ObjectInfo& one, const ObjectInfo& other) {
  return one.version == other.version && one.storage_class == other.storage_class &&
         SameTime(one, other);
}

size_t MetadataCache::Hash::operator()(std::string_view key) const {
  return XXH3_64bits(key.data(), key.size());
}

std::optional<NameFact> MetadataCache::Find(std::string_view key) {
  Rows removed;
  const MutexLock lock(mutex_);
  const Row* row = FindRow(key, removed);
  if (row == nullptr) return std::nullopt;
  NameFact fact{.kind = row->kind};
  if (row->kind == NameFact::Kind::kFile) fact.object = InfoOf(key, *row);
  return fact;
}

ObjectInfo MetadataCache::InfoOf(std::string_view key, const Row& row) {
  return {.version = {.key = std::string(key), .etag = row.etag, .size_bytes = row.size_bytes},
          .modified_unix_seconds = row.modified_unix_seconds,
          .storage_class = row.storage_class};
}

bool MetadataCache::HasFile(const ObjectInfo& object) {
  Rows removed;
  const MutexLock lock(mutex_);
  const std::string& key = object.version.key;
  const Row* row = FindRow(key, removed);
  return row != nullptr && row->kind == NameFact::Kind::kFile &&
         LookAlike(InfoOf(key, *row), object);
}

bool MetadataCache::HasDirectory(std::string_view key) {
  Rows removed;
  const MutexLock lock(mutex_);
  const Row* row = FindRow(key, removed);
  return row != nullptr && row->kind == NameFact::Kind::kDirectory;
}

bool MetadataCache::Add(std::string_view key, const NameFact& fact, uint64_t clear_count) {
  Rows removed;
  const MutexLock lock(mutex_);
  if (clear_count != clear_count_) return false;
  Put(key, fact, removed);
  return true;
}

void MetadataCache::AddListed(const std::string& prefix, std::span<const ListedEntry> entries,
                              uint64_t clear_count) {
  Rows removed;
  const MutexLock lock(mutex_);
  if (clear_count != clear_count_) return;
  for (const ListedEntry& entry : entries) {
    if (entry.object.storage_class == StorageClass::kLink) continue;
    Put(prefix + entry.name,
        {.kind = entry.is_directory ? NameFact::Kind::kDirectory : NameFact::Kind::kFile,
         .object = entry.object},
        removed);
  }
}

void MetadataCache::Drop(const ObjectVersion& version) {
  const std::optional<NameFact> known = Find(version.key);
  if (!known || known->kind != NameFact::Kind::kFile || known->object.version != version) return;
  const MutexLock lock(mutex_);
  // A newer fact that came in between goes as well: that costs a request, and no more.
  Extract(recent_, version.key);
  Extract(earlier_, version.key);
}

void MetadataCache::SetMissingValidFor(Duration missing_valid_for) {
  const MutexLock lock(mutex_);
  missing_valid_for_ = missing_valid_for;
}

void MetadataCache::Clear() {
  Half recent;
  Half earlier;
  const MutexLock lock(mutex_);
  ++clear_count_;
  std::swap(recent, recent_);
  std::swap(earlier, earlier_);
}

uint64_t MetadataCache::clear_count() const {
  const MutexLock lock(mutex_);
  return clear_count_;
}

size_t MetadataCache::size_bytes() const {
  const MutexLock lock(mutex_);
  return recent_.size_bytes + earlier_.size_bytes;
}

MetadataCache::Row* MetadataCache::FindRow(std::string_view key, Rows& removed) {
  auto found = recent_.rows.find(key);
  if (found == recent_.rows.end()) {
    Rows::node_type node = Extract(earlier_, key);
    if (!node) return nullptr;
    Insert(std::move(node), removed);
    found = recent_.rows.find(key);
  }
  if (found->second.kind != NameFact::Kind::kMissing ||
      clock_.Now() - found->second.known_at < missing_valid_for_)
    return &found->second;
  Extract(recent_, key);
  return nullptr;
}

void MetadataCache::Insert(Rows::node_type node, Rows& removed) {
  const size_t size_bytes = BytesOf(node.key(), node.mapped());
  if (recent_.size_bytes + size_bytes > size_bytes_max_ / 2) {
    removed.swap(earlier_.rows);
    earlier_ = std::exchange(recent_, {});
  }
  recent_.size_bytes += size_bytes;
  recent_.rows.insert(std::move(node));
}

void MetadataCache::Put(std::string_view key, const NameFact& fact, Rows& removed) {
  Rows::node_type node = Extract(recent_, key);
  if (!node) node = Extract(earlier_, key);
  if (!node) {
    Rows one;
    one.emplace(key, Row{});
    node = one.extract(one.begin());
  }
  Row& row = node.mapped();
  row = {.etag = fact.object.version.etag,
         .size_bytes = fact.object.version.size_bytes,
         .modified_unix_seconds = fact.object.modified_unix_seconds,
         .kind = fact.kind,
         .storage_class = fact.object.storage_class};
  if (fact.kind == NameFact::Kind::kMissing) row.known_at = clock_.Now();
  Insert(std::move(node), removed);
}

MetadataCache::Rows::node_type MetadataCache::Extract(Half& half, std::string_view key) {
  const auto found = half.rows.find(key);
  if (found == half.rows.end()) return {};
  half.size_bytes -= BytesOf(found->first, found->second);
  return half.rows.extract(found);
}

size_t MetadataCache::BytesOf(const std::string& key, const Row& row) {
  return sizeof(Rows::value_type) + kNodeBytes + HeapBytes(key) + HeapBytes(row.etag);
}

}  // namespace shoal
