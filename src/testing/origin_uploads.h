// Multipart uploads that are not complete yet.
//
//   .shoal-origin/uploads/ID/upload        the record the object will have; its key
//   .shoal-origin/uploads/ID/00001-MD5     a part, named by its number and its ETag
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/origin_bucket.h"

namespace shoal::embedded {

inline constexpr uint32_t kPartNumberMax = 10000;

struct UploadInfo {
  std::string id;
  std::string key;
  ObjectRecord record;
  int64_t started_unix_seconds = 0;
};

struct PartInfo {
  uint32_t number = 0;
  std::string etag;  // lower-case hex
  FileStamp stamp;
};

// Thread-safe. `bucket` outlives it.
class Uploads {
 public:
  explicit Uploads(Bucket& bucket) : bucket_(bucket) {}

  // The id of the new upload.
  Result<std::string> Start(const std::string& key, const ObjectRecord& record);
  // kNotFound unless `id` is an upload of `key`.
  [[nodiscard]] Result<UploadInfo> Find(const std::string& id, std::string_view key) const;
  // A part sent again replaces the one before.
  Result<> AddPart(const std::string& id, uint32_t number, const std::string& etag,
                   StagedFile bytes);
  // In order of their numbers.
  [[nodiscard]] Result<std::vector<PartInfo>> Parts(const std::string& id) const;
  // Joins `parts` into the object, and ends the upload. The object's record.
  Result<ObjectRecord> Complete(const UploadInfo& upload, const std::vector<PartInfo>& parts,
                                const WriteCondition& condition);
  Result<> Abort(const std::string& id);
  // Ordered by key, then id.
  [[nodiscard]] Result<std::vector<UploadInfo>> All() const;

 private:
  [[nodiscard]] Result<UploadInfo> Read(const std::string& id) const;

  Bucket& bucket_;
};

}  // namespace shoal::embedded
