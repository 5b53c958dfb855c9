// ObjectStore: what this project asks of an object store. OSS and S3 implement
// it; so does testing/memory_object_store.h.
//
// All methods block until done or `deadline`, and are safe to call from any thread.
//
// Errors: kNotFound no such key, kDenied the credentials lack a right, kArchived the
// storage class cannot be read, kChanged the object is no longer the version asked for,
// kBusy throttled, kUnreachable no or a broken answer, kTimedOut past the deadline,
// kInterrupted the sink wanted no more, kUnusable anything else: no such bucket, a
// certificate that does not verify, what the store refused. `detail` names operation,
// key, HTTP status, the store's code and its request id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/object.h"
#include "base/result.h"

namespace shoal {

// Objects of an archive class are listed, and cannot be read until restored. kLink is for listings
// alone: a link of OSS is listed with a size and an ETag of its own and read with those of its
// target, which Head tells.
enum class StorageClass : uint8_t { kReadable, kArchive, kColdArchive, kDeepColdArchive, kLink };

struct ObjectInfo {
  ObjectVersion version{};
  int64_t modified_unix_seconds = 0;
  StorageClass storage_class = StorageClass::kReadable;
};

struct ListQuery {
  std::string prefix{};
  std::string delimiter{};            // "/" for one directory, empty for everything below
  std::optional<std::string> from{};  // ListPage::next of the page before
  std::string after{};                // without `from`: only keys that sort after this one
  uint32_t max_keys = 1000;           // 1 to 1000; objects and common prefixes together
};

// Both lists are in byte order of their keys, and all keys of a page sort before all
// keys of the next. What a store answers need not keep to the latter: who asks for page after
// page compares them (fs/listing_ranges.h).
struct ListPage {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> common_prefixes;
  std::optional<std::string> next;  // pass back to continue; empty at the end
};

struct BucketUsage {
  uint64_t stored_bytes = 0;
  uint64_t object_count = 0;
};

// What a store tells with the bytes that it gives.
struct GetAnswer {
  std::optional<uint64_t> crc64{};  // of the whole object (crc64.h); empty where it is not told
  std::string request_id{};         // of the last request; empty where it is not known
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual Result<ObjectInfo> Head(std::string_view key, Deadline deadline) = 0;

  // Sends exactly range.length bytes to `sink`, or fails having sent a prefix of them.
  // REQUIRES: 0 < range.length, range.end() <= version.size_bytes.
  virtual Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                                Deadline deadline) = 0;

  virtual Result<ListPage> List(const ListQuery& query, Deadline deadline) = 0;

  // What the whole bucket holds, as the store last counted it. kUnsupported where the
  // store does not count (S3).
  virtual Result<BucketUsage> Usage(Deadline deadline) = 0;

  // How many requests may be under way at once, from now on; from any thread. No effect where there
  // is no such bound.
  virtual void SetConnectionCountMax(size_t /*count_max*/) {}
};

// The first page from there on that has keys, or the last: stores may answer that they looked at
// many and that none of them is to be shown, as where they keep marks of what was deleted. Asks
// until the deadline at the latest. The errors are List's.
inline Result<ListPage> ListWithKeys(ObjectStore& store, ListQuery query, Deadline deadline) {
  while (true) {
    ASSIGN_OR_RETURN(ListPage page, store.List(query, deadline));
    if (!page.next || !page.objects.empty() || !page.common_prefixes.empty()) return page;
    query.from = std::move(page.next);
  }
}

}  // namespace shoal
