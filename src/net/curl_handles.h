// CurlHandles: a bounded stack of libcurl easy handles, each keeping one connection.
//
// The handle that came back last goes out first, so that few connections stay warm
// rather than many go cold. The handles share resolved names and TLS sessions.
// Thread-safe.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"

namespace shoal {

class CurlHandles {
 public:
  // `prepare` gives a new handle the options that all its calls have.
  CurlHandles(size_t count_max, std::function<void(CURL*)> prepare);
  // Every lease has ended.
  ~CurlHandles();
  CurlHandles(const CurlHandles&) = delete;
  CurlHandles& operator=(const CurlHandles&) = delete;

  class GiveBack {
   public:
    explicit GiveBack(CurlHandles& owner) : owner_(&owner) {}
    void operator()(CURL* handle) const { owner_->Release(handle); }

   private:
    CurlHandles* owner_;
  };
  using Lease = std::unique_ptr<CURL, GiveBack>;

  // Waits while `count_max` are out. kTimedOut if none came back in time. A handle keeps
  // the options that its user before set: who sets one sets it for every call.
  Result<Lease> Acquire(const Clock& clock, Deadline deadline);
  // From now on. Those that are out and too many end when they are given back.
  void SetCountMax(size_t count_max);

 private:
  static void LockShared(CURL*, curl_lock_data data, curl_lock_access, void* self);
  static void UnlockShared(CURL*, curl_lock_data data, void* self);
  void Release(CURL* handle);

  const std::function<void(CURL*)> prepare_;
  std::array<std::mutex, CURL_LOCK_DATA_LAST> shared_mutexes_;  // libcurl takes them
  CURLSH* shared_ = nullptr;  // constant after construction; synchronized by those

  Mutex mutex_;
  CondVar came_back_;
  size_t count_max_ GUARDED_BY(mutex_);
  std::vector<CURL*> idle_ GUARDED_BY(mutex_);
  size_t out_count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
