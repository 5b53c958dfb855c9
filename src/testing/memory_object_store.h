// A bucket in memory, with a switch for trouble: every call can be made to fail, and
// all calls are counted. Lists as the real stores do, a page at a time. Thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "origin/object_store.h"

namespace shoal {

class MemoryObjectStore final : public ObjectStore {
 public:
  struct Calls {
    int head = 0;
    int get = 0;
    int list = 0;
    int usage = 0;
  };

  void Put(const std::string& key, std::string body,
           StorageClass storage_class = StorageClass::kReadable) {
    const std::unique_lock lock(mutex_);
    Object& object = objects_[key];
    object.info.version = {.key = key,
                           .etag = "\"" + std::to_string(++version_count_) + "\"",
                           .size_bytes = body.size()};
    object.info.modified_unix_seconds = 1'700'000'000 + version_count_;
    object.info.storage_class = storage_class;
    object.body = std::move(body);
  }
  // The same bytes once more, so with the same ETag. REQUIRES: the object is there.
  void PutAgain(const std::string& key, int64_t modified_unix_seconds,
                StorageClass storage_class = StorageClass::kReadable) {
    const std::unique_lock lock(mutex_);
    ObjectInfo& info = objects_.at(key).info;
    info.modified_unix_seconds = modified_unix_seconds;
    info.storage_class = storage_class;
  }
  // As OSS has them: a listing shows the link, all else its target. REQUIRES: the target is there.
  void Link(const std::string& key, const std::string& target) {
    Put(key, "", StorageClass::kLink);
    const std::unique_lock lock(mutex_);
    objects_.at(key).target = target;
  }
  // A listing still says that it is archived, as one of S3 does.
  void Restore(const std::string& key) {
    const std::unique_lock lock(mutex_);
    objects_.at(key).restored = true;
  }
  void Delete(const std::string& key) {
    const std::unique_lock lock(mutex_);
    objects_.erase(key);
  }
  // Every later call fails with this, until given nothing.
  void FailWith(std::optional<Error> error) {
    const std::unique_lock lock(mutex_);
    error_ = std::move(error);
  }
  void set_usage(BucketUsage usage) {
    const std::unique_lock lock(mutex_);
    usage_ = usage;
  }
  void set_page_keys_max(uint32_t keys) {
    const std::unique_lock lock(mutex_);
    page_keys_max_ = keys;
  }
  // Every listing begins with a page that has no keys and is not the last.
  void set_begins_with_empty_page(bool begins) {
    const std::unique_lock lock(mutex_);
    begins_with_empty_page_ = begins;
  }
  [[nodiscard]] Calls calls() const {
    const std::unique_lock lock(mutex_);
    return calls_;
  }
  void ResetCalls() {
    const std::unique_lock lock(mutex_);
    calls_ = {};
  }

  Result<ObjectInfo> Head(std::string_view key, Deadline) override {
    const std::unique_lock lock(mutex_);
    ++calls_.head;
    if (error_) return tl::unexpected(*error_);
    const Object* const found = Find(std::string(key));
    if (found == nullptr) return Fail(Errc::kNotFound, "HeadObject: HTTP 404");
    ObjectInfo info = found->info;
    info.version.key = key;
    if (found->restored) info.storage_class = StorageClass::kReadable;
    return info;
  }

  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline) override {
    std::string body;
    {
      const std::unique_lock lock(mutex_);
      ++calls_.get;
      if (error_) return tl::unexpected(*error_);
      const Object* const found = Find(version.key);
      if (found == nullptr) return Fail(Errc::kNotFound, "GetObject: HTTP 404");
      if (found->info.version.etag != version.etag)
        return Fail(Errc::kChanged, "GetObject: HTTP 412");
      body = found->body.substr(range.offset, range.length);
    }
    if (!sink.Append(std::as_bytes(std::span(body)))) return Fail(Errc::kInterrupted, "GetObject");
    return GetAnswer{};
  }

  Result<ListPage> List(const ListQuery& query, Deadline) override {
    const std::unique_lock lock(mutex_);
    ++calls_.list;
    if (error_) return tl::unexpected(*error_);
    const uint32_t keys_max = std::min(query.max_keys, page_keys_max_);
    ListPage page;
    if (begins_with_empty_page_ && !query.from) {
      page.next = query.after + kAfterEmptyPage;
      return page;
    }
    std::string last = query.from.value_or(query.after);
    if (last.ends_with(kAfterEmptyPage)) last.pop_back();
    for (auto at = objects_.lower_bound(std::max(query.prefix, last)); at != objects_.end(); ++at) {
      const std::string& key = at->first;
      if (!key.starts_with(query.prefix)) break;
      const size_t cut = query.delimiter.empty() ? std::string::npos
                                                 : key.find(query.delimiter, query.prefix.size());
      const std::string name = cut == std::string::npos ? key : key.substr(0, cut + 1);
      if (key <= query.after && !query.from) continue;
      if (query.from && name <= last) continue;
      if (!page.common_prefixes.empty() && page.common_prefixes.back() == name) continue;
      if (page.objects.size() + page.common_prefixes.size() == keys_max) {
        page.next = last;
        break;
      }
      if (cut == std::string::npos) {
        page.objects.push_back(at->second.info);
      } else {
        page.common_prefixes.push_back(name);
      }
      last = name;
    }
    return page;
  }

  Result<BucketUsage> Usage(Deadline) override {
    const std::unique_lock lock(mutex_);
    ++calls_.usage;
    if (error_) return tl::unexpected(*error_);
    return usage_;
  }

 private:
  struct Object {
    ObjectInfo info;
    std::string body;
    bool restored = false;
    std::string target{};  // of a link
  };

  // Past a link. Null if it is not there. REQUIRES: mutex_ held.
  const Object* Find(const std::string& key) const {
    const auto found = objects_.find(key);
    if (found == objects_.end()) return nullptr;
    return found->second.target.empty() ? &found->second : Find(found->second.target);
  }

  static constexpr char kAfterEmptyPage = '\0';  // in a token

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, Object> objects_;
  int version_count_ = 0;
  std::optional<Error> error_;
  BucketUsage usage_;
  uint32_t page_keys_max_ = 1000;
  bool begins_with_empty_page_ = false;
  Calls calls_;
};

}  // namespace shoal
