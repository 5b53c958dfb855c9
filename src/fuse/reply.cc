#include "fuse/reply.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/bytes.h"
#include "base/log.h"
#include "fs/errno.h"

namespace shoal {
namespace {

double ToSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

bool IsDotOrDotDot(std::string_view name) {
  return name == "." || name == "..";
}

// Both give the bytes the entry takes, and write it if there is room for it.
size_t AddPlain(std::span<char> room, const DirectoryEntry& entry) {
  const struct stat stat = ToStat(entry.entry.attributes);
  return fuse_add_direntry(nullptr, room.data(), room.size(), entry.name.c_str(), &stat,
                           static_cast<off_t>(entry.next_cookie));
}
size_t AddWithAttributes(std::span<char> room, const DirectoryEntry& entry) {
  fuse_entry_param param = ToEntryParam(entry.entry);
  if (!IsRemembered(entry)) param.ino = 0;
  return fuse_add_direntry_plus(nullptr, room.data(), room.size(), entry.name.c_str(), &param,
                                static_cast<off_t>(entry.next_cookie));
}

}  // namespace

struct stat ToStat(const Attributes& attributes) {
  struct stat out {};
  out.st_ino = attributes.inode;
  out.st_mode = attributes.is_directory ? S_IFDIR | 0755 : S_IFREG | 0644;
  out.st_nlink = 1;
  out.st_size = static_cast<off_t>(attributes.size_bytes);
  out.st_blksize = kMiB;  // cp and cat read as much at once
  out.st_blocks = static_cast<blkcnt_t>((attributes.size_bytes + 511) / 512);
  out.st_mtim.tv_sec = attributes.modified_unix_seconds;
  out.st_atim = out.st_ctim = out.st_mtim;
  return out;
}

fuse_entry_param ToEntryParam(const Entry& entry) {
  fuse_entry_param out{};
  out.ino = entry.attributes.inode;
  out.attr = ToStat(entry.attributes);
  out.entry_timeout = ToSeconds(entry.name_valid_for);
  out.attr_timeout = ToSeconds(entry.attributes_valid_for);
  return out;
}

struct statvfs ToStatvfs(const Usage& usage) {
  constexpr uint64_t kBlockBytes = 4096;
  const auto blocks = [](uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; };
  struct statvfs out {};
  out.f_bsize = out.f_frsize = kBlockBytes;
  out.f_blocks = blocks(usage.total_bytes);
  out.f_bfree = out.f_bavail = usage.total_bytes > usage.used_bytes
                                   ? (usage.total_bytes - usage.used_bytes) / kBlockBytes
                                   : 0;
  out.f_files = usage.object_count_max;
  out.f_ffree = out.f_favail =
      usage.object_count_max > usage.object_count ? usage.object_count_max - usage.object_count : 0;
  out.f_namemax = kNameBytesMax;
  return out;
}

DirectoryFit FitDirectory(std::span<const DirectoryEntry> entries, size_t size_bytes, bool plus) {
  const auto add = plus ? AddWithAttributes : AddPlain;
  DirectoryFit fit;
  for (const DirectoryEntry& entry : entries) {
    const size_t entry_bytes = entry.name.size() > kNameBytesMax ? 0 : add({}, entry);
    if (fit.bytes + entry_bytes > size_bytes) break;
    fit.bytes += entry_bytes;
    ++fit.entry_count;
  }
  return fit;
}

std::string PackDirectory(std::span<const DirectoryEntry> entries, const DirectoryFit& fit,
                          bool plus) {
  const auto add = plus ? AddWithAttributes : AddPlain;
  std::string packed(fit.bytes, '\0');
  std::span<char> room(packed);
  for (const DirectoryEntry& entry : entries.first(fit.entry_count)) {
    if (entry.name.size() > kNameBytesMax) {
      log::Warn("readdir: left out a name of {} bytes, of which the kernel takes {}",
                entry.name.size(), kNameBytesMax);
      continue;
    }
    room = room.subspan(add(room, entry));
  }
  return packed;
}

size_t EntryCountMax(size_t size_bytes, bool plus) {
  // What an entry with a name of 16 bytes takes: most names are at least as long.
  return std::max<size_t>(size_bytes / (plus ? 168 : 40), 1);
}

bool IsRemembered(const DirectoryEntry& entry) {
  return !entry.name_alone && !IsDotOrDotDot(entry.name) && entry.name.size() <= kNameBytesMax;
}

void ReplyError(fuse_req_t request, std::string_view operation, const Error& error) {
  const bool ordinary = error.code == Errc::kNotFound || error.code == Errc::kInterrupted ||
                        (error.code == Errc::kChanged && operation == "open");
  if (!ordinary) log::Warn("{}: {}", operation, log::Printable(error.detail));
  fuse_reply_err(request, ToErrno(error.code));
}

}  // namespace shoal
