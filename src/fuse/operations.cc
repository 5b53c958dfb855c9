#include "fuse/operations.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "fuse/decoder.h"
#include "fuse/kernel_abi.h"
#include "fuse/reply.h"

namespace shoal {
namespace {

// Of names that the kernel cannot be made to forget.
constexpr Duration kNameValidForMax = std::chrono::seconds(10);

// For operations of any signature that are refused without a look at their arguments.
template <int kErrno, class... Arguments>
void Refuse(fuse_req_t request, Arguments...) {
  fuse_reply_err(request, kErrno);
}

void Want(fuse_conn_info* connection, uint64_t capability) {
  fuse_set_feature_flag(connection, capability);  // no effect where the kernel has it not
}

}  // namespace

Operations::Operations(FileSystem& file_system, const SessionOptions& options,
                       BackingFiles& backing_files, InodePruner& pruner, RequestMetrics& metrics,
                       const Clock& clock, std::function<void()> forget_names)
    : file_system_(file_system),
      backing_files_(backing_files),
      pruner_(pruner),
      metrics_(metrics),
      clock_(clock),
      forget_names_(std::move(forget_names)),
      asks_for_opens_(options.open_requests != "off"),
      passthrough_(asks_for_opens_ && options.passthrough != "off"),
      request_bytes_max_(options.request_bytes_max),
      wait_max_(std::chrono::seconds(options.deadline_seconds)),
      unasked_(file_system, clock),
      waiters_("fuse-wait", options.waiter_count_max) {}

void Operations::TakeOver(std::span<const KeptHandle> handles) {
  const MutexLock lock(mutex_);
  for (const KeptHandle& kept : handles) {
    handles_left_[kept.note.request] = kept;
    metrics_.HandleOpened(kept.is_directory);
  }
}

void Operations::ReleaseUnanswered(uint64_t unique) {
  if (!(unique & kUniqueResent)) return;
  KeptHandle kept;
  {
    const MutexLock lock(mutex_);
    const auto found = handles_left_.find(unique & ~kUniqueResent);
    if (found == handles_left_.end()) return;
    kept = found->second;
    handles_left_.erase(found);
  }
  if (kept.is_directory) return ReleaseDirectory(kept.handle);
  Release(kept.inode, kept.handle);
}

Operations& Operations::Of(fuse_req_t request) {
  return *static_cast<Operations*>(fuse_req_userdata(request));
}

Deadline Operations::DeadlineFromNow() const {
  return Deadline::After(clock_, wait_max_);
}

fuse_lowlevel_ops Operations::Table() {
  fuse_lowlevel_ops table{};
  table.init = Init;
  table.lookup = Lookup;
  table.forget = Forget;
  table.forget_multi = ForgetMulti;
  table.getattr = GetAttributes;
  table.open = Open;
  table.read = Read;
  table.release = Release;
  table.opendir = OpenDirectory;
  table.readdir = ReadDirectory<false>;
  table.readdirplus = ReadDirectory<true>;
  table.releasedir = ReleaseDirectory;
  table.statfs = GetUsage;

  table.readlink = Refuse<EINVAL>;  // there are no links
  table.ioctl = Refuse<ENOTTY>;

  // Writes. The mount is read-only, so the kernel sends hardly any of these.
  table.setattr = Refuse<EROFS>;
  table.mknod = Refuse<EROFS>;
  table.mkdir = Refuse<EROFS>;
  table.unlink = Refuse<EROFS>;
  table.rmdir = Refuse<EROFS>;
  table.symlink = Refuse<EROFS>;
  table.link = Refuse<EROFS>;
  table.rename = Refuse<EROFS>;
  table.create = Refuse<EROFS>;
  table.tmpfile = Refuse<EROFS>;
  table.write = Refuse<EROFS>;
  table.fallocate = Refuse<EROFS>;
  table.copy_file_range = Refuse<EROFS>;
  table.setxattr = Refuse<EROFS>;
  table.removexattr = Refuse<EROFS>;
  // What has no function gets ENOSYS from libfuse. The kernel then stops asking and does what
  // is right: flush and fsync succeed, getxattr and listxattr say EOPNOTSUPP, lseek works
  // from the size, access is checked by the modes (default_permissions), locks are local.
  return table;
}

void Operations::Init(void* userdata, fuse_conn_info* connection) {
  Operations& self = *static_cast<Operations*>(userdata);
  self.can_forget_names_ = connection->proto_minor >= kNotifyNamesChangedMinor;
  Want(connection, FUSE_CAP_ASYNC_READ);
  Want(connection, FUSE_CAP_ASYNC_DIO);
  Want(connection, FUSE_CAP_PARALLEL_DIROPS);
  Want(connection, FUSE_CAP_READDIRPLUS);
  // Always, and not only when names are looked up one after another: attributes cost nothing
  // here, and a program that lists and then opens saves a request for each name.
  fuse_unset_feature_flag(connection, FUSE_CAP_READDIRPLUS_AUTO);
  // An inode is one version: pages the kernel keeps for it are never stale.
  fuse_unset_feature_flag(connection, FUSE_CAP_AUTO_INVAL_DATA);
  Want(connection, FUSE_CAP_EXPLICIT_INVAL_DATA);
  fuse_unset_feature_flag(connection, FUSE_CAP_SPLICE_READ);
  fuse_unset_feature_flag(connection, FUSE_CAP_SPLICE_WRITE);
  fuse_unset_feature_flag(connection, FUSE_CAP_SPLICE_MOVE);
  // Ours, not libfuse's: see RingTransport.
  fuse_unset_feature_flag(connection, FUSE_CAP_OVER_IO_URING);

  if (self.passthrough_) {
    Want(connection, FUSE_CAP_PASSTHROUGH);
    connection->max_backing_stack_depth = FUSE_BACKING_STACKED_UNDER;
  }

  // libfuse makes max_pages of it, which bounds reads.
  connection->max_write = self.request_bytes_max_;
  connection->max_background = 512;
  connection->congestion_threshold = 384;
  connection->time_gran = 1'000'000'000;  // mtimes are whole seconds
  // Interrupts reach ParkedCalls before libfuse, which then needs no lock over all requests.
  connection->no_interrupt = 1;
}

template <class Work>
void Operations::RunWaiting(fuse_req_t request, Work work) {
  auto call = std::make_shared<Call>(Call::Kind::kOther, request, *Decoder::CurrentPort(), parked_);
  parked_.Park(call);
  if (call->claimed()) return;
  waiters_.Run([this, call = std::move(call), work = std::move(work)]() mutable {
    if (parked_.IsWanted(*call)) work(*call);
  });
}

Entry Operations::Capped(Entry entry) const {
  if (!can_forget_names_) entry.name_valid_for = std::min(entry.name_valid_for, kNameValidForMax);
  return entry;
}

void Operations::ReplyEntry(fuse_req_t request, std::string_view operation,
                            const Result<Entry>& entry) {
  if (!entry) return ReplyError(request, operation, entry.error());
  const fuse_entry_param param = ToEntryParam(Capped(*entry));
  if (fuse_reply_entry(request, &param) != 0) file_system_.Forget(entry->attributes.inode, 1);
  // Linux 6.18 before .3 could wait for a read of ours while it lets go of a file that was opened
  // unasked.
  if (asks_for_opens_) pruner_.OnLookup();
}

void Operations::Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Operations& self = Of(request);
  if (std::string_view(name).size() > kNameBytesMax) {
    fuse_reply_err(request, ENAMETOOLONG);
    return;
  }
  if (const auto known = self.file_system_.LookupIfKnown(parent, name))
    return self.ReplyEntry(request, "lookup", *known);
  self.RunWaiting(request, [&self, parent, name = std::string(name),
                            deadline = self.DeadlineFromNow()](Call& call) {
    const Result<Entry> entry = self.file_system_.Lookup(parent, name, deadline);
    if (call.Claim()) {
      self.ReplyEntry(call.request(), "lookup", entry);
    } else if (entry) {
      self.file_system_.Forget(entry->attributes.inode, 1);
    }
  });
}

void Operations::Forget(fuse_req_t request, fuse_ino_t inode, uint64_t count) {
  Of(request).file_system_.Forget(inode, count);
  fuse_reply_none(request);
}

void Operations::ForgetMulti(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
  FileSystem& file_system = Of(request).file_system_;
  for (size_t i = 0; i < count; ++i) file_system.Forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(request);
}

void Operations::GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  const Result<Entry> entry = Of(request).file_system_.GetAttributes(inode);
  if (!entry) return ReplyError(request, "getattr", entry.error());
  const fuse_entry_param param = ToEntryParam(*entry);
  fuse_reply_attr(request, &param.attr, param.attr_timeout);
}

void Operations::Open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  Operations& self = Of(request);
  self.ReleaseUnanswered(Decoder::CurrentPort()->unique);
  // The kernel asks for this only if somebody made the mount writable in its eyes.
  if ((file->flags & O_ACCMODE) != O_RDONLY || (file->flags & O_TRUNC) != 0) {
    fuse_reply_err(request, EROFS);
    return;
  }
  // From now on the kernel asks neither for opens nor for releases, on the whole mount.
  if (!self.asks_for_opens_) {
    fuse_reply_err(request, ENOSYS);
    return;
  }
  if (auto known = self.file_system_.OpenIfKnown(inode))
    return self.ReplyOpen(request, Decoder::CurrentPort()->unique, inode, *std::move(known), *file);
  self.RunWaiting(request,
                  [&self, inode, file = *file, deadline = self.DeadlineFromNow()](Call& call) {
                    Result<OpenedFile> opened = self.file_system_.Open(inode, deadline);
                    if (call.Claim()) {
                      self.ReplyOpen(call.request(), call.unique(), inode, std::move(opened), file);
                    } else if (opened) {
                      self.file_system_.Release(opened->handle);
                    }
                  });
}

void Operations::ReplyOpen(fuse_req_t request, uint64_t unique, InodeId inode,
                           Result<OpenedFile> opened, fuse_file_info reply) {
  if (!opened) return ReplyError(request, "open", opened.error());
  reply.fh = opened->handle;
  reply.noflush = 1;  // nothing was written
  reply.backing_id =
      backing_files_.Open(inode, std::move(opened->whole), (reply.flags & O_DIRECT) != 0);
  if (reply.backing_id != 0) {
    const Result<Entry> entry = file_system_.GetAttributes(inode);
    metrics_.PassedThrough(entry ? entry->attributes.size_bytes : 0);
  }
  // The inode is one version. Passed through, its pages here would be there twice.
  reply.keep_cache = reply.backing_id == 0;
  file_system_.Keep(opened->handle,
                    {.request = unique & ~kUniqueResent, .backing_id = reply.backing_id});
  metrics_.HandleOpened(/*is_directory=*/false);
  if (fuse_reply_open(request, &reply) != 0) Release(inode, opened->handle);
}

void Operations::Release(InodeId inode, HandleId handle) {
  // In this order: a handle that is kept is open in the mode that it was kept with.
  if (!file_system_.Unkeep(handle)) return;
  backing_files_.Close(inode);
  file_system_.Release(handle);
  metrics_.HandleClosed(/*is_directory=*/false);
}

void Operations::ReleaseDirectory(HandleId handle) {
  if (!file_system_.Unkeep(handle)) return;
  file_system_.Release(handle);
  metrics_.HandleClosed(/*is_directory=*/true);
}

void Operations::Read(fuse_req_t request, fuse_ino_t inode, size_t size_bytes, off_t offset,
                      fuse_file_info* file) {
  Operations& self = Of(request);
  const ByteRange range{static_cast<uint64_t>(offset), size_bytes};
  if (file->fh == 0) return self.ReadUnopened(request, inode, range);
  if (self.ReadAtOnce(request, file->fh, range)) return;
  const auto kind = (file->flags & O_DIRECT) != 0 ? Call::Kind::kOther : Call::Kind::kPages;
  auto call = std::make_shared<Call>(kind, request, *Decoder::CurrentPort(), self.parked_);
  self.file_system_.Read(file->fh, range, [call](const auto& pieces) { SendRead(*call, pieces); });
  // Most reads are answered by now, and cost no lock.
  if (!call->claimed()) self.parked_.Park(call);
}

bool Operations::ReadAtOnce(fuse_req_t request, HandleId handle, ByteRange range) {
  // Goes straight to where the answer leaves from.
  const std::span<std::byte> room = Decoder::CurrentPort()->AnswerRoom();
  if (room.size() < range.length) return false;
  const auto length = file_system_.ReadNow(handle, range.offset, room.first(range.length));
  if (!length) return false;
  fuse_reply_buf(request, reinterpret_cast<const char*>(room.data()), *length);
  return true;
}

void Operations::ReadUnopened(fuse_req_t request, InodeId inode, ByteRange range) {
  UnaskedOpens::Handle handle = unasked_.Find(inode);
  if (handle == nullptr) {
    const auto known = file_system_.OpenIfKnown(inode);
    if (known && *known) handle = unasked_.Put(inode, (*known)->handle);
  }
  if (handle != nullptr && ReadAtOnce(request, *handle, range)) return;
  auto call = std::make_shared<Call>(Call::Kind::kPages, request, *Decoder::CurrentPort(), parked_);
  const auto read = [this, call, inode, range](const UnaskedOpens::Handle& opened) {
    file_system_.Read(*opened, range, [this, call, inode, opened](const Pieces& pieces) {
      AnswerUnaskedRead(call, inode, pieces);
    });
  };
  if (handle != nullptr) {
    read(handle);
    if (!call->claimed()) parked_.Park(call);
    return;
  }
  parked_.Park(call);
  waiters_.Run([this, call, inode, read, deadline = DeadlineFromNow()] {
    if (!parked_.IsWanted(*call)) return;
    Result<OpenedFile> opened = file_system_.Open(inode, deadline);
    if (opened) return read(unasked_.Put(inode, opened->handle));
    // The program has it open for long: to a read it is the version that is no more.
    if (opened.error().code == Errc::kNotFound) opened.error().code = Errc::kChanged;
    AnswerUnaskedRead(call, inode, tl::unexpected(opened.error()));
  });
}

void Operations::AnswerUnaskedRead(const std::shared_ptr<Call>& call, InodeId inode,
                                   const Pieces& pieces) {
  if (pieces || pieces.error().code != Errc::kChanged) return SendRead(*call, pieces);
  if (!call->Claim()) return;  // now nobody ends the session before the answer
  waiters_.Run([this, call, inode, error = pieces.error(), deadline = DeadlineFromNow()] {
    unasked_.Drop(inode);
    // Asks the store, so that the name's next look-up finds what is there now.
    const Result<OpenedFile> opened = file_system_.Open(inode, deadline);
    if (opened) file_system_.Release(opened->handle);
    forget_names_();
    ReplyError(call->request(), "read", error);
  });
}

void Operations::SendRead(Call& call, const Pieces& pieces) {
  if (!call.Claim()) return;
  if (!pieces) return ReplyError(call.request(), "read", pieces.error());
  std::vector<iovec> parts;
  parts.reserve(pieces->size());
  for (const std::span<const std::byte> piece : *pieces)
    parts.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  fuse_reply_iov(call.request(), parts.data(), static_cast<int>(parts.size()));
}

void Operations::OpenDirectory(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  Operations& self = Of(request);
  FileSystem& file_system = self.file_system_;
  const uint64_t unique = Decoder::CurrentPort()->unique;
  self.ReleaseUnanswered(unique);
  const Result<HandleId> handle = file_system.OpenDirectory(inode);
  if (!handle) return ReplyError(request, "opendir", handle.error());
  file->fh = *handle;
  file->cache_readdir = 0;
  file_system.Keep(*handle, {.request = unique & ~kUniqueResent});
  self.metrics_.HandleOpened(/*is_directory=*/true);
  if (fuse_reply_open(request, file) != 0) self.ReleaseDirectory(*handle);
}

template <bool kPlus>
void Operations::ReadDirectory(fuse_req_t request, fuse_ino_t, size_t size_bytes, off_t offset,
                               fuse_file_info* file) {
  Operations& self = Of(request);
  self.RunWaiting(request, [&self, size_bytes, cookie = static_cast<uint64_t>(offset),
                            handle = HandleId{file->fh},
                            deadline = self.DeadlineFromNow()](Call& call) mutable {
    FileSystem& file_system = self.file_system_;
    std::vector<DirectoryEntry> entries;
    DirectoryFit fit;
    // An empty answer is the end of the directory: read on past entries that are left out.
    do {
      auto batch =
          file_system.ReadDirectory(handle, cookie, EntryCountMax(size_bytes, kPlus), deadline);
      if (!batch) {
        if (call.Claim()) ReplyError(call.request(), "readdir", batch.error());
        return;
      }
      entries = *std::move(batch);
      fit = FitDirectory(entries, size_bytes, kPlus);
      entries.resize(fit.entry_count);
      if (!entries.empty()) cookie = entries.back().next_cookie;
    } while (fit.bytes == 0 && !entries.empty());

    if (!call.Claim()) return;
    if constexpr (kPlus)
      for (DirectoryEntry& entry : entries) {
        if (IsRemembered(entry)) {
          const InodeId inode = file_system.Remember(handle, entry);
          entry.name_alone = inode == 0;
          if (inode != 0) entry.entry.attributes.inode = inode;
        }
        entry.entry = self.Capped(entry.entry);
      }
    const std::string packed = PackDirectory(entries, fit, kPlus);
    if (fuse_reply_buf(call.request(), packed.data(), packed.size()) == 0) return;
    if constexpr (kPlus)
      for (const DirectoryEntry& entry : entries)
        if (IsRemembered(entry)) file_system.Forget(entry.entry.attributes.inode, 1);
  });
}

void Operations::Release(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  Of(request).Release(inode, file->fh);
  fuse_reply_err(request, 0);
}

void Operations::ReleaseDirectory(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  Of(request).ReleaseDirectory(file->fh);
  fuse_reply_err(request, 0);
}

void Operations::GetUsage(fuse_req_t request, fuse_ino_t) {
  const struct statvfs usage = ToStatvfs(Of(request).file_system_.GetUsage());
  fuse_reply_statfs(request, &usage);
}

}  // namespace shoal
