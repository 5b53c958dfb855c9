#include "testing/origin_uploads.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include "testing/origin_digest.h"

namespace shoal::embedded {
namespace {

constexpr size_t kUploadRecordBytesMax = 256 << 10;
constexpr size_t kIdLength = 32;
constexpr size_t kNumberLength = 5;

std::string AllUploads() {
  return std::string(kSideArea) + "/uploads";
}
std::string FolderOf(std::string_view id) {
  return AllUploads().append("/").append(id);
}
// Ids become paths, and clients send them.
bool IsId(std::string_view id) {
  return id.size() == kIdLength && !FromHex(id).empty();
}

}  // namespace

Result<std::string> Uploads::Start(const std::string& key, const ObjectRecord& record) {
  std::array<char, kIdLength / 2> random;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), random.size()) != 1)
    return Fail(Errc::kUnreachable, "no random bytes");
  std::string id = Hex({random.data(), random.size()});
  const FilesBelow& files = bucket_.files();
  const std::string path = FolderOf(id) + "/upload";
  RETURN_IF_ERROR(files.WriteSmall(path, Hex(key) + "\n" + record.Print(), path + ".new"));
  return id;
}

Result<UploadInfo> Uploads::Read(const std::string& id) const {
  const auto missing = Fail(Errc::kNotFound, "no such upload");
  if (!IsId(id)) return missing;
  const std::string path = FolderOf(id) + "/upload";
  ASSIGN_OR_RETURN(const std::string text, bucket_.files().ReadSmall(path, kUploadRecordBytesMax));
  const size_t line_end = text.find('\n');
  if (line_end == std::string::npos) return missing;
  auto record = ObjectRecord::Parse(std::string_view(text).substr(line_end + 1));
  if (!record) return missing;
  ASSIGN_OR_RETURN(const FileDescriptor file, bucket_.files().OpenAt(path, O_PATH));
  ASSIGN_OR_RETURN(const struct stat status, StatusOf(file));
  return UploadInfo{id, FromHex(text.substr(0, line_end)), *std::move(record),
                    status.st_mtim.tv_sec};
}

Result<UploadInfo> Uploads::Find(const std::string& id, std::string_view key) const {
  ASSIGN_OR_RETURN(UploadInfo upload, Read(id));
  if (upload.key != key) return Fail(Errc::kNotFound, "an upload of another key");
  return upload;
}

Result<> Uploads::AddPart(const std::string& id, uint32_t number, const std::string& etag,
                          StagedFile bytes) {
  const std::string name = fmt::format("{:05}-{}", number, etag);
  ASSIGN_OR_RETURN(const std::vector<PartInfo> before, Parts(id));
  RETURN_IF_ERROR(bucket_.files().Rename(bytes.path(), FolderOf(id) + "/" + name));
  bytes.Release();
  for (const PartInfo& part : before) {
    if (part.number != number || part.etag == etag) continue;
    RETURN_IF_ERROR(
        bucket_.files().Remove(fmt::format("{}/{:05}-{}", FolderOf(id), number, part.etag)));
  }
  return {};
}

Result<std::vector<PartInfo>> Uploads::Parts(const std::string& id) const {
  if (!IsId(id)) return Fail(Errc::kNotFound, "no such upload");
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, bucket_.files().List(FolderOf(id)));
  std::vector<PartInfo> parts;
  for (const DirectoryEntry& entry : entries) {
    PartInfo part;
    const std::string& name = entry.name;
    if (name.size() <= kNumberLength || name[kNumberLength] != '-') continue;
    std::from_chars(name.data(), name.data() + kNumberLength, part.number);
    part.etag = name.substr(kNumberLength + 1);
    const auto file = bucket_.files().OpenAt(FolderOf(id) + "/" + name, O_PATH);
    if (!file && IsMissing(file.error())) continue;  // replaced just now
    if (!file) return tl::unexpected(file.error());
    ASSIGN_OR_RETURN(const struct stat status, StatusOf(*file));
    part.stamp = FileStamp::Of(status);
    parts.push_back(std::move(part));
  }
  std::ranges::sort(parts, {},
                    [](const PartInfo& part) { return std::tie(part.number, part.etag); });
  return parts;
}

Result<ObjectRecord> Uploads::Complete(const UploadInfo& upload, const std::vector<PartInfo>& parts,
                                       const WriteCondition& condition) {
  ASSIGN_OR_RETURN(StagedFile whole, bucket_.Stage());
  std::string digests;
  for (const PartInfo& part : parts) {
    ASSIGN_OR_RETURN(
        const FileDescriptor bytes,
        bucket_.files().OpenAt(
            fmt::format("{}/{:05}-{}", FolderOf(upload.id), part.number, part.etag), O_RDONLY));
    RETURN_IF_ERROR(CopyBytes(bytes, 0, part.stamp.size_bytes, whole.file()));
    digests += FromHex(part.etag);
  }
  ObjectRecord record = upload.record;
  record.etag = fmt::format("{}-{}", Md5Hex(digests), parts.size());
  ASSIGN_OR_RETURN(record.crc64, Crc64Of(whole.file()));
  RETURN_IF_ERROR(bucket_.Commit(std::move(whole), upload.key, record, condition));
  RETURN_IF_ERROR(Abort(upload.id));
  return record;
}

Result<> Uploads::Abort(const std::string& id) {
  if (!IsId(id)) return Fail(Errc::kNotFound, "no such upload");
  return bucket_.files().RemoveDirectory(FolderOf(id));
}

Result<std::vector<UploadInfo>> Uploads::All() const {
  std::vector<UploadInfo> uploads;
  const auto entries = bucket_.files().List(AllUploads());
  if (!entries && IsMissing(entries.error())) return uploads;
  if (!entries) return tl::unexpected(entries.error());
  for (const DirectoryEntry& entry : *entries) {
    auto upload = Read(entry.name);
    if (!upload && !IsMissing(upload.error())) return tl::unexpected(upload.error());
    if (upload) uploads.push_back(*std::move(upload));
  }
  std::ranges::sort(uploads, {},
                    [](const UploadInfo& each) { return std::tie(each.key, each.id); });
  return uploads;
}

}  // namespace shoal::embedded
