#include "net/curl_handles.h"

#include <cassert>
#include <utility>

#include "base/mutex.h"

namespace shoal {

CurlHandles::CurlHandles(size_t count_max, std::function<void(CURL*)> prepare)
    : prepare_(std::move(prepare)), count_max_(count_max) {
  // libcurl's own initialisation is for the process, and has to be before any handle.
  [[maybe_unused]] static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  assert(initialised == CURLE_OK);
  shared_ = curl_share_init();
  curl_share_setopt(shared_, CURLSHOPT_LOCKFUNC, &LockShared);
  curl_share_setopt(shared_, CURLSHOPT_UNLOCKFUNC, &UnlockShared);
  curl_share_setopt(shared_, CURLSHOPT_USERDATA, this);
  curl_share_setopt(shared_, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
  curl_share_setopt(shared_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

CurlHandles::~CurlHandles() {
  assert(out_count_ == 0);
  for (CURL* handle : idle_) curl_easy_cleanup(handle);
  curl_share_cleanup(shared_);
}

Result<CurlHandles::Lease> CurlHandles::Acquire(const Clock& clock, Deadline deadline) {
  CURL* handle = nullptr;
  {
    const MutexLock lock(mutex_);
    while (out_count_ >= count_max_) {
      if (deadline.at == Instant::max()) {
        came_back_.Wait(mutex_);
      } else if (deadline.Passed(clock)) {
        return Fail(Errc::kTimedOut,
                    "all " + std::to_string(count_max_) + " connections stayed in use");
      } else {
        came_back_.WaitFor(mutex_, deadline.Remaining(clock));
      }
    }
    ++out_count_;
    if (!idle_.empty()) {
      handle = idle_.back();
      idle_.pop_back();
    }
  }
  if (handle == nullptr) {
    handle = curl_easy_init();
    assert(handle != nullptr);
    curl_easy_setopt(handle, CURLOPT_SHARE, shared_);
    prepare_(handle);
  }
  return Lease(handle, GiveBack(*this));
}

void CurlHandles::SetCountMax(size_t count_max) {
  std::vector<CURL*> too_many;
  {
    const MutexLock lock(mutex_);
    count_max_ = count_max;
    // Those that came back last are at the end.
    const size_t kept = count_max > out_count_ ? count_max - out_count_ : 0;
    const size_t count = idle_.size() > kept ? idle_.size() - kept : 0;
    too_many.assign(idle_.begin(), idle_.begin() + static_cast<ptrdiff_t>(count));
    idle_.erase(idle_.begin(), idle_.begin() + static_cast<ptrdiff_t>(count));
  }
  came_back_.NotifyAll();
  for (CURL* const handle : too_many) curl_easy_cleanup(handle);
}

void CurlHandles::Release(CURL* handle) {
  bool is_kept = false;
  {
    const MutexLock lock(mutex_);
    --out_count_;
    is_kept = out_count_ + idle_.size() < count_max_;
    if (is_kept) idle_.push_back(handle);
  }
  came_back_.NotifyOne();
  if (!is_kept) curl_easy_cleanup(handle);
}

void CurlHandles::LockShared(CURL*, curl_lock_data data, curl_lock_access, void* self) {
  static_cast<CurlHandles*>(self)->shared_mutexes_[data].lock();
}

void CurlHandles::UnlockShared(CURL*, curl_lock_data data, void* self) {
  static_cast<CurlHandles*>(self)->shared_mutexes_[data].unlock();
}

}  // namespace shoal
