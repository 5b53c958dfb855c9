#include "net/kept_connections.h"

#include <cassert>
#include <iterator>
#include <string>
#include <utility>

namespace shoal {

KeptConnections::KeptConnections(const HttpClientOptions& options, const Clock& clock)
    : options_(options), clock_(clock), count_max_(options.connection_count_max) {
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

KeptConnections::~KeptConnections() {
  assert(out_count_ == 0);
  idle_.clear();
  curl_share_cleanup(shared_);
}

Result<KeptConnections::Lease> KeptConnections::Acquire(Deadline deadline) {
  std::unique_ptr<ClientConnection> connection;
  {
    const MutexLock lock(mutex_);
    while (out_count_ >= count_max_) {
      if (deadline.at == Instant::max()) {
        came_back_.Wait(mutex_);
      } else if (deadline.Passed(clock_)) {
        return Fail(Errc::kTimedOut,
                    "all " + std::to_string(count_max_) + " connections stayed in use");
      } else {
        came_back_.WaitFor(mutex_, deadline.Remaining(clock_));
      }
    }
    ++out_count_;
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (connection == nullptr)
    connection = std::make_unique<ClientConnection>(options_, clock_, shared_);
  return Lease(connection.release(), GiveBack(*this));
}

void KeptConnections::SetCountMax(size_t count_max) {
  std::vector<std::unique_ptr<ClientConnection>> too_many;
  {
    const MutexLock lock(mutex_);
    count_max_ = count_max;
    // Those that came back last are at the end.
    const size_t kept = count_max > out_count_ ? count_max - out_count_ : 0;
    const size_t count = idle_.size() > kept ? idle_.size() - kept : 0;
    const auto end = idle_.begin() + static_cast<ptrdiff_t>(count);
    too_many.assign(std::move_iterator(idle_.begin()), std::move_iterator(end));
    idle_.erase(idle_.begin(), end);
  }
  came_back_.NotifyAll();
}

void KeptConnections::Release(std::unique_ptr<ClientConnection> connection) {
  {
    const MutexLock lock(mutex_);
    --out_count_;
    if (out_count_ + idle_.size() < count_max_) idle_.push_back(std::move(connection));
  }
  came_back_.NotifyOne();
}

void KeptConnections::LockShared(CURL*, curl_lock_data data, curl_lock_access, void* self) {
  static_cast<KeptConnections*>(self)->shared_mutexes_[data].lock();
}

void KeptConnections::UnlockShared(CURL*, curl_lock_data data, void* self) {
  static_cast<KeptConnections*>(self)->shared_mutexes_[data].unlock();
}

}  // namespace shoal
