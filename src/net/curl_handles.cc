#include "net/curl_handles.h"

#include <cassert>
#include <utility>

#include "base/mutex.h"

namespace shoal {

CurlHandles::CurlHandles(size_t count_max, std::function<void(CURL*)> prepare)
    : count_max_(count_max), prepare_(std::move(prepare)) {
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
    while (out_count_ == count_max_) {
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

void CurlHandles::Release(CURL* handle) {
  {
    const MutexLock lock(mutex_);
    --out_count_;
    idle_.push_back(handle);
  }
  came_back_.NotifyOne();
}

void CurlHandles::LockShared(CURL*, curl_lock_data data, curl_lock_access, void* self) {
  static_cast<CurlHandles*>(self)->shared_mutexes_[data].lock();
}

void CurlHandles::UnlockShared(CURL*, curl_lock_data data, void* self) {
  static_cast<CurlHandles*>(self)->shared_mutexes_[data].unlock();
}

}  // namespace shoal
