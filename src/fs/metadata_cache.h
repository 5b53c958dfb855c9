// What listings and HEAD requests have said of names, believed until the cache is cleared
// (or, of a name that led nowhere, for a time). Only for buckets whose objects hardly ever
// change: it gives up close-to-open.
//
// Bounded in bytes. Names are kept in two halves: those used lately, and, once these fill
// half the room, the half before them, which is let go when that happens again. So what is
// used stays, and no list has to be kept in order. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/object.h"
#include "fs/listing_merger.h"
#include "origin/object_store.h"

namespace shoal {

// What a name leads to.
struct NameFact {
  enum class Kind : uint8_t { kMissing, kFile, kDirectory };
  Kind kind = Kind::kMissing;
  ObjectInfo object{};  // of a file
};

// Not told apart by a second: a store may round the time of an object in one kind of answer, and
// cut it off in another.
[[nodiscard]] bool SameTime(const ObjectInfo& one, const ObjectInfo& other);
// Whether it is the same version with the same attributes.
[[nodiscard]] bool LookAlike(const ObjectInfo& one, const ObjectInfo& other);

class MetadataCache {
 public:
  // `clock` outlives this.
  MetadataCache(const Clock& clock, Duration missing_valid_for, size_t size_bytes_max)
      : clock_(clock), size_bytes_max_(size_bytes_max), missing_valid_for_(missing_valid_for) {}

  // A directory's key is without its last slash, here and below.
  std::optional<NameFact> Find(std::string_view key);
  // Whether this is what Find would say.
  bool HasFile(const ObjectInfo& object);
  bool HasDirectory(std::string_view key);

  // `clear_count` is what clear_count() was before the store was asked: what it said before
  // the last Clear is not kept. Answers whether it was kept.
  bool Add(std::string_view key, const NameFact& fact, uint64_t clear_count);
  // The same of the entries of a directory, but for links, of which a listing does not say enough.
  void AddListed(const std::string& prefix, std::span<const ListedEntry> entries,
                 uint64_t clear_count);

  // The object is not this version any more; what it is, is not known.
  void Drop(const ObjectVersion& version);

  // From now on, also for names that are known.
  void SetMissingValidFor(Duration missing_valid_for);

  void Clear();
  [[nodiscard]] uint64_t clear_count() const;

  [[nodiscard]] size_t size_bytes() const;

 private:
  // Without the key, which is the map's.
  struct Row {
    std::string etag;
    uint64_t size_bytes = 0;
    int64_t modified_unix_seconds = 0;
    Instant known_at{};  // of a missing name
    NameFact::Kind kind = NameFact::Kind::kMissing;
    StorageClass storage_class = StorageClass::kReadable;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const;
  };
  using Rows = std::unordered_map<std::string, Row, Hash, std::equal_to<>>;
  struct Half {
    Rows rows;
    size_t size_bytes = 0;
  };

  // Rows that go are left in `removed`, to be freed after the lock.
  static ObjectInfo InfoOf(std::string_view key, const Row& row);
  Row* FindRow(std::string_view key, Rows& removed) REQUIRES(mutex_);
  void Insert(Rows::node_type node, Rows& removed) REQUIRES(mutex_);
  void Put(std::string_view key, const NameFact& fact, Rows& removed) REQUIRES(mutex_);
  static Rows::node_type Extract(Half& half, std::string_view key);
  static size_t BytesOf(const std::string& key, const Row& row);

  const Clock& clock_;
  const size_t size_bytes_max_;

  mutable Mutex mutex_;
  Duration missing_valid_for_ GUARDED_BY(mutex_);
  Half recent_ GUARDED_BY(mutex_);
  Half earlier_ GUARDED_BY(mutex_);  // no key is in both
  uint64_t clear_count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
