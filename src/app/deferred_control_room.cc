#include "app/deferred_control_room.h"

#include <pthread.h>

#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/start_thread.h"

namespace shoal {
namespace {

constexpr Duration kTryEvery = std::chrono::seconds(2);

}  // namespace

DeferredControlRoom::~DeferredControlRoom() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    stop_came_.NotifyAll();
  }
  if (trying_.joinable()) trying_.join();
}

Result<> DeferredControlRoom::Open() {
  ASSIGN_OR_RETURN(std::unique_ptr<ControlRoom> opened, IfThreadsAllow(open_));
  const MutexLock lock(mutex_);
  room_ = std::move(opened);
  if (room_ != nullptr && has_begun_) room_->Begin();
  return {};
}

void DeferredControlRoom::KeepTrying() {
  auto thread = StartThread([this] { Try(); });
  if (thread)
    trying_ = *std::move(thread);
  else
    log::Error("the admin port is not tried again: {}", thread.error().detail);
}

void DeferredControlRoom::Try() {
  pthread_setname_np(pthread_self(), "admin-open");
  while (true) {
    {
      const MutexLock lock(mutex_);
      const auto until = CondVar::In(kTryEvery);
      while (!stopping_ && stop_came_.WaitUntil(mutex_, until)) continue;
      if (stopping_) return;
    }
    if (Open()) return;
  }
}

void DeferredControlRoom::Begin() {
  const MutexLock lock(mutex_);
  has_begun_ = true;
  if (room_ != nullptr) room_->Begin();
}

}  // namespace shoal
