// KeptConnections: a bounded stack of connections of one client.
//
// The one that came back last goes out first, so that few stay warm rather than many go cold.
// They share resolved names and TLS sessions. Thread-safe.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "net/client_connection.h"

namespace shoal {

class KeptConnections {
 public:
  // Both outlive it.
  KeptConnections(const HttpClientOptions& options, const Clock& clock);
  // Every lease has ended.
  ~KeptConnections();
  KeptConnections(const KeptConnections&) = delete;
  KeptConnections& operator=(const KeptConnections&) = delete;

  class GiveBack {
   public:
    explicit GiveBack(KeptConnections& owner) : owner_(&owner) {}
    void operator()(ClientConnection* connection) const {
      owner_->Release(std::unique_ptr<ClientConnection>(connection));
    }

   private:
    KeptConnections* owner_;
  };
  using Lease = std::unique_ptr<ClientConnection, GiveBack>;

  // Waits while `count_max` are out. kTimedOut if none came back in time. It may be closed, or
  // lead anywhere.
  Result<Lease> Acquire(Deadline deadline);
  // From now on. Those that are out and too many end when they are given back.
  void SetCountMax(size_t count_max);

 private:
  static void LockShared(CURL*, curl_lock_data data, curl_lock_access, void* self);
  static void UnlockShared(CURL*, curl_lock_data data, void* self);
  void Release(std::unique_ptr<ClientConnection> connection);

  const HttpClientOptions& options_;
  const Clock& clock_;
  std::array<std::mutex, CURL_LOCK_DATA_LAST> shared_mutexes_;  // libcurl takes them
  CURLSH* shared_ = nullptr;  // constant after construction; synchronized by those

  Mutex mutex_;
  CondVar came_back_;
  size_t count_max_ GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<ClientConnection>> idle_ GUARDED_BY(mutex_);
  size_t out_count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
