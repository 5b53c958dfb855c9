#include "cache/deferred_storage.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace shoal {
namespace {

// Between two attempts; each time longer.
constexpr Duration kPauseMin = std::chrono::milliseconds(20);
constexpr Duration kPauseMax = std::chrono::seconds(2);

Duration WorthWaiting(const std::optional<Error>& why, const DeferredStorage::Patience& patience) {
  if (!why) return patience.for_medium;
  if (why->code == Errc::kTimedOut) return patience.for_process_before;
  if (why->code == Errc::kBusy) return patience.for_other_mount;
  return Duration::zero();
}

bool IsHopeless(Errc code) {
  return code == Errc::kInvalid || code == Errc::kDenied || code == Errc::kBusy;
}

}  // namespace

class DeferredStorage::Opening {
 public:
  explicit Opening(Opener open) : open_(std::move(open)) {}

  static void Start(const std::shared_ptr<Opening>& opening) {
    std::thread([opening] {
      pthread_setname_np(pthread_self(), "cache-open");
      opening->Run();
    }).detach();  // nothing ends a call that hangs
  }

  // Answers what was opened, if it was. One that is opened after this ends on the thread.
  std::unique_ptr<CacheStorage> Stop() {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
    const auto until = CondVar::In(kPauseMin);
    while (!ended_ && changed_.WaitUntil(mutex_, until)) continue;
    return std::move(storage_);
  }

  Result<> Await(const Patience& patience, Instant begun_at, const Clock& clock) {
    const MutexLock lock(mutex_);
    while (storage_ == nullptr) {
      const Duration left = begun_at + WorthWaiting(why_not_, patience) - clock.Now();
      if (left > Duration::zero()) {
        changed_.WaitFor(mutex_, left);
        continue;
      }
      if (why_not_ && IsHopeless(why_not_->code)) return tl::unexpected(*why_not_);
      return {};
    }
    return {};
  }

  Result<CacheStorage*> Opened() {
    if (CacheStorage* const storage = opened_.load(std::memory_order_acquire)) return storage;
    const MutexLock lock(mutex_);
    return Fail(Errc::kUnreachable, why_not_ ? why_not_->detail : "it does not answer");
  }

  // False: it is open, and has to be told itself.
  bool NoteCapacity(uint64_t capacity_bytes) {
    const MutexLock lock(mutex_);
    if (storage_ != nullptr) return false;
    capacity_bytes_ = capacity_bytes;
    return true;
  }

 private:
  void Run() {
    Duration pause = kPauseMin;
    const MutexLock lock(mutex_);
    while (!stopping_ && storage_ == nullptr) {
      mutex_.Unlock();
      Result<std::unique_ptr<CacheStorage>> opened = open_();
      mutex_.Lock();
      if (opened) {
        storage_ = *std::move(opened);
        if (capacity_bytes_) (void)storage_->Resize(*capacity_bytes_);
        opened_.store(storage_.get(), std::memory_order_release);
        changed_.NotifyAll();
        break;
      }
      why_not_ = std::move(opened).error();
      changed_.NotifyAll();
      const auto until = CondVar::In(pause);
      while (!stopping_ && changed_.WaitUntil(mutex_, until)) continue;
      pause = std::min(2 * pause, kPauseMax);
    }
    ended_ = true;
    changed_.NotifyAll();
  }

  const Opener open_;
  std::atomic<CacheStorage*> opened_{nullptr};  // storage_, for who does not want the lock

  Mutex mutex_;
  CondVar changed_;
  std::unique_ptr<CacheStorage> storage_ GUARDED_BY(mutex_);
  std::optional<Error> why_not_ GUARDED_BY(mutex_);  // of the last attempt that ended
  std::optional<uint64_t> capacity_bytes_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
};

DeferredStorage::DeferredStorage(std::string name, Opener open, const Clock& clock)
    : name_(std::move(name)),
      clock_(clock),
      begun_at_(clock.Now()),
      opening_(std::make_shared<Opening>(std::move(open))) {
  Opening::Start(opening_);
}

DeferredStorage::~DeferredStorage() {
  const std::unique_ptr<CacheStorage> ends_here = opening_->Stop();
}

Result<> DeferredStorage::Await(const Patience& patience) {
  return opening_->Await(patience, begun_at_, clock_);
}

Result<CacheStorage*> DeferredStorage::Opened() const {
  return opening_->Opened();
}

Result<std::unique_ptr<StoredObject>> DeferredStorage::Open(const ObjectDigest& name) {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->Open(name);
}

Result<std::unique_ptr<StoredObject>> DeferredStorage::Create(const ObjectDigest& name,
                                                              uint64_t size_bytes) {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->Create(name, size_bytes);
}

Result<> DeferredStorage::Remove(const ObjectDigest& name) {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->Remove(name);
}

bool DeferredStorage::IsMapped(const ObjectDigest& name) {
  const Result<CacheStorage*> storage = Opened();
  return storage && (*storage)->IsMapped(name);
}

Result<> DeferredStorage::Quarantine(const ObjectDigest& name) {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->Quarantine(name);
}

Result<> DeferredStorage::Scan(const std::function<bool(const Found&)>& visit) {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->Scan(visit);
}

Result<> DeferredStorage::ScanAndClean(const std::function<bool(const Found&)>& visit) {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->ScanAndClean(visit);
}

Result<> DeferredStorage::MarkUsed(const ObjectDigest& name) {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->MarkUsed(name);
}

Result<> DeferredStorage::SyncAll() {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->SyncAll();
}

Result<CacheStorage::Room> DeferredStorage::GetRoom() {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->GetRoom();
}

uint64_t DeferredStorage::own_block_count() {
  const Result<CacheStorage*> storage = Opened();
  return storage ? (*storage)->own_block_count() : 0;
}

size_t DeferredStorage::index_count() const {
  const Result<CacheStorage*> storage = Opened();
  return storage ? (*storage)->index_count() : 0;
}

uint64_t DeferredStorage::BlocksToPutInOrder(size_t index) {
  const Result<CacheStorage*> storage = Opened();
  return storage ? (*storage)->BlocksToPutInOrder(index) : 0;
}

Result<> DeferredStorage::PutInOrder(size_t index, uint64_t block_count_max) {
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->PutInOrder(index, block_count_max);
}

Result<> DeferredStorage::Resize(uint64_t capacity_bytes) {
  if (opening_->NoteCapacity(capacity_bytes)) return {};
  ASSIGN_OR_RETURN(CacheStorage* const storage, Opened());
  return storage->Resize(capacity_bytes);
}

size_t DeferredStorage::memory_bytes() {
  const Result<CacheStorage*> storage = Opened();
  return storage ? (*storage)->memory_bytes() : 0;
}

}  // namespace shoal
