// One function for each FUSE operation, each a translation to FileSystem and back.
//
// What FileSystem answers without waiting is answered on the calling thread; calls that wait
// run on a pool. An answer that nobody wants any more (an interrupt came first, or the
// connection is gone) gives back what it holds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "fs/file_system.h"
#include "fuse/backing_files.h"
#include "fuse/call.h"
#include "fuse/inode_pruner.h"
#include "fuse/low_level.h"
#include "fuse/request_metrics.h"
#include "fuse/session.h"
#include "fuse/unasked_opens.h"

namespace shoal {

// Thread-safe. Every request must be answered before it is destroyed.
class Operations {
 public:
  // What is handed in by reference outlives this. `forget_names`: Session::ForgetNames, from any
  // thread.
  Operations(FileSystem& file_system, const SessionOptions& options, BackingFiles& backing_files,
             InodePruner& pruner, RequestMetrics& metrics, const Clock& clock,
             std::function<void()> forget_names);

  // For fuse_session_new; its userdata is an Operations.
  static fuse_lowlevel_ops Table();

  // The handles that are open from processes before this one. Before any request.
  void TakeOver(std::span<const KeptHandle> handles);

  // Known once FUSE_INIT was fed.
  [[nodiscard]] bool can_forget_names() const { return can_forget_names_; }

  void Interrupt(uint64_t unique) { parked_.Interrupt(unique); }

 private:
  static Operations& Of(fuse_req_t request);

  static void Init(void* self, fuse_conn_info* connection);
  static void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
  static void Forget(fuse_req_t request, fuse_ino_t inode, uint64_t count);
  static void ForgetMulti(fuse_req_t request, size_t count, fuse_forget_data* forgets);
  static void GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  static void Open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  static void Read(fuse_req_t request, fuse_ino_t inode, size_t size_bytes, off_t offset,
                   fuse_file_info* file);
  static void OpenDirectory(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  template <bool kPlus>
  static void ReadDirectory(fuse_req_t request, fuse_ino_t inode, size_t size_bytes, off_t offset,
                            fuse_file_info* file);
  static void Release(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  static void ReleaseDirectory(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  static void GetUsage(fuse_req_t request, fuse_ino_t inode);

  // `work(call)` on the pool, unless an interrupt comes before its turn.
  template <class Work>
  void RunWaiting(fuse_req_t request, Work work);
  void ReplyEntry(fuse_req_t request, std::string_view operation, const Result<Entry>& entry);
  // What the kernel may be told: a name it cannot be made to forget is not for long.
  [[nodiscard]] Entry Capped(Entry entry) const;
  void ReplyOpen(fuse_req_t request, uint64_t unique, InodeId inode, Result<OpenedFile> opened,
                 fuse_file_info reply);
  // True: it was answered from what is at hand.
  bool ReadAtOnce(fuse_req_t request, HandleId handle, ByteRange range);
  // Of a file that the kernel opened without asking.
  void ReadUnopened(fuse_req_t request, InodeId inode, ByteRange range);
  using Pieces = Result<std::span<const std::span<const std::byte>>>;
  static void SendRead(Call& call, const Pieces& pieces);
  // The kernel would go on using the inode for the name, as no open tells it otherwise.
  void AnswerUnaskedRead(const std::shared_ptr<Call>& call, InodeId inode, const Pieces& pieces);
  // The kernel asks again for an open that another process did and did not answer: that one is
  // nobody's. Of a request that is new, nothing.
  void ReleaseUnanswered(uint64_t unique);
  void Release(InodeId inode, HandleId handle);
  void ReleaseDirectory(HandleId handle);
  [[nodiscard]] Deadline DeadlineFromNow() const;

  FileSystem& file_system_;
  BackingFiles& backing_files_;
  InodePruner& pruner_;
  RequestMetrics& metrics_;
  const Clock& clock_;
  const std::function<void()> forget_names_;
  const bool asks_for_opens_;
  const bool passthrough_;
  bool can_forget_names_ = false;  // constant after FUSE_INIT
  const uint32_t request_bytes_max_;
  const Duration wait_max_;
  ParkedCalls parked_;
  Mutex mutex_;
  // By the number of the request that opened them.
  std::unordered_map<uint64_t, KeptHandle> handles_left_ GUARDED_BY(mutex_);
  UnaskedOpens unasked_;
  ThreadPool waiters_;  // last: its threads use the rest
};

}  // namespace shoal
