// What OSS and S3 do, done to the buckets below one directory. Knows requests and answers,
// not sockets, signatures or faults.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "testing/origin_bucket.h"
#include "testing/origin_message.h"
#include "testing/origin_operation.h"
#include "testing/origin_uploads.h"

namespace shoal::embedded {

// Thread-safe.
class OriginService {
 public:
  // Every directory in `root` whose name can be a bucket's is a bucket.
  explicit OriginService(FilesBelow root) : root_(std::move(root)) {}

  ServiceResult<> CreateBucket(const std::string& name);
  [[nodiscard]] ServiceResult<std::vector<std::string>> BucketNames() const;
  ServiceResult<OriginAnswer> Handle(Operation operation, const OriginRequest& request,
                                     RequestBody& body);

 private:
  struct OpenBucket {
    OpenBucket(const std::string& name, FilesBelow files, uint64_t inode_number)
        : bucket(name, std::move(files)), uploads(bucket), inode(inode_number) {}
    Bucket bucket;
    Uploads uploads;
    const uint64_t inode;  // of the directory: another one is another bucket
  };
  using OpenBucketPtr = std::shared_ptr<OpenBucket>;
  ServiceResult<OpenBucketPtr> FindBucket(const std::string& name);

  // origin_service_objects.cc
  static ServiceResult<OriginAnswer> Get(Bucket& bucket, const OriginRequest& request);
  static ServiceResult<OriginAnswer> Put(Bucket& bucket, const OriginRequest& request,
                                         RequestBody& body);
  static ServiceResult<OriginAnswer> Delete(Bucket& bucket, const OriginRequest& request);
  static ServiceResult<OriginAnswer> DeleteMany(Bucket& bucket, const OriginRequest& request,
                                                RequestBody& body);
  ServiceResult<OriginAnswer> Copy(Bucket& bucket, const OriginRequest& request);
  // The object that a copy-source header names, if its conditions hold.
  ServiceResult<StoredObject> FindCopySource(const OriginRequest& request);

  // origin_service_lists.cc
  static ServiceResult<OriginAnswer> List(Bucket& bucket, const OriginRequest& request);
  static ServiceResult<OriginAnswer> Stat(OpenBucket& open);

  // origin_service_uploads.cc
  static ServiceResult<OriginAnswer> StartUpload(OpenBucket& open, const OriginRequest& request);
  static ServiceResult<OriginAnswer> UploadPart(OpenBucket& open, const OriginRequest& request,
                                                RequestBody& body);
  ServiceResult<OriginAnswer> CopyPart(OpenBucket& open, const OriginRequest& request);
  static ServiceResult<OriginAnswer> CompleteUpload(OpenBucket& open, const OriginRequest& request,
                                                    RequestBody& body);
  static ServiceResult<OriginAnswer> AbortUpload(OpenBucket& open, const OriginRequest& request);
  static ServiceResult<OriginAnswer> ListParts(OpenBucket& open, const OriginRequest& request);
  static ServiceResult<OriginAnswer> ListUploads(OpenBucket& open, const OriginRequest& request);

  const FilesBelow root_;
  Mutex mutex_;
  std::map<std::string, OpenBucketPtr> open_ GUARDED_BY(mutex_);
};

// Shared by the parts of the service.
inline constexpr uint64_t kPutBytesMax = uint64_t{5} << 30;
OriginAnswer XmlAnswer(std::string document);
ServiceError NoSuchKey();
// What a request's headers say an object shall be like.
ServiceResult<ObjectRecord> RecordFromHeaders(const OriginRequest& request);
ServiceResult<WriteCondition> ConditionFromHeaders(const OriginRequest& request);
// OSS's x-oss-hash-crc64ecma. Nothing in S3's dialect, or where there is none.
void AddCrc64(std::optional<uint64_t> crc64, Dialect dialect, OriginAnswer& answer);
// Writes the whole body, and answers its sums.
ServiceResult<Sums> Receive(RequestBody& body, const StagedFile& staged);
ServiceError CommitError(const Error& error, const OriginRequest& request);
// Its bytes cannot be read until it is restored.
bool IsArchived(const ObjectRecord& record);
// A number from the query, or `fallback`; InvalidArgument outside [0, max].
ServiceResult<uint64_t> NumberFromQuery(const OriginRequest& request, std::string_view name,
                                        uint64_t fallback, uint64_t max);

}  // namespace shoal::embedded
