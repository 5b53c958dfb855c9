#include "fs/kept_handles.h"

namespace shoal {

// `values` of both kinds: inode, request; of a file also its backing id, size and time.
HandOver::Token KeepFileHandle(HandOver& hand_over, HandleId handle, const Inode& file,
                               const OpenNote& note) {
  const ObjectVersion& version = file.object.version;
  return hand_over.Keep(
      {.kind = HandOverRecord::Kind::kOpenFile,
       .number = handle,
       .values = {file.id, note.request, static_cast<uint64_t>(note.backing_id), version.size_bytes,
                  static_cast<uint64_t>(file.object.modified_unix_seconds)},
       .text = version.key,
       .more_text = version.etag});
}

HandOver::Token KeepDirectoryHandle(HandOver& hand_over, HandleId handle, const Inode& directory,
                                    const OpenNote& note) {
  return hand_over.Keep({.kind = HandOverRecord::Kind::kOpenDirectory,
                         .number = handle,
                         .values = {directory.id, note.request},
                         .text = directory.prefix});
}

std::vector<LeftHandle> FindLeftHandles(HandOver& hand_over) {
  std::vector<LeftHandle> left;
  const auto collect = [&left](HandOver::Token token, const HandOverRecord& record) {
    const auto& [inode, request, backing_id, size_bytes, modified] = record.values;
    LeftHandle handle{.kept = {.handle = record.number,
                               .inode = inode,
                               .is_directory = record.kind == HandOverRecord::Kind::kOpenDirectory,
                               .note = {request, static_cast<int32_t>(backing_id)}},
                      .token = token};
    if (handle.kept.is_directory)
      handle.prefix = record.text;
    else
      handle.object = {.version = {.key = std::string(record.text),
                                   .etag = std::string(record.more_text),
                                   .size_bytes = size_bytes},
                       .modified_unix_seconds = static_cast<int64_t>(modified)};
    left.push_back(std::move(handle));
  };
  hand_over.VisitLeft(HandOverRecord::Kind::kOpenFile, collect);
  hand_over.VisitLeft(HandOverRecord::Kind::kOpenDirectory, collect);
  return left;
}

}  // namespace shoal
