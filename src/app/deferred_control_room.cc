#include "app/deferred_control_room.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/start_thread.h"

namespace shoal {
namespace {

constexpr Duration kPauseMin = std::chrono::seconds(2);
constexpr Duration kPauseMax = std::chrono::seconds(30);

}  // namespace

DeferredControlRoom::~DeferredControlRoom() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    stop_came_.NotifyAll();
  }
  if (trying_.joinable()) trying_.join();
}

Result<> DeferredControlRoom::Open(const Opener& open) {
  ASSIGN_OR_RETURN(std::unique_ptr<ControlRoom> opened, IfThreadsAllow(open));
  const MutexLock lock(mutex_);
  room_ = std::move(opened);
  if (room_ != nullptr && warmup_connection_count_max_)
    room_->SetWarmupConnectionCountMax(*warmup_connection_count_max_);
  if (room_ != nullptr && has_begun_) room_->Begin();
  return {};
}

void DeferredControlRoom::KeepTrying(Opener open) {
  auto thread = StartThread([this, open = std::move(open)] { Try(open); });
  if (thread)
    trying_ = *std::move(thread);
  else
    log::Error("the admin port is not tried again: {}", thread.error().detail);
}

void DeferredControlRoom::Try(const Opener& open) {
  pthread_setname_np(pthread_self(), "admin-open");
  std::string said;
  for (Duration pause = kPauseMin;; pause = std::min(2 * pause, kPauseMax)) {
    {
      const MutexLock lock(mutex_);
      const auto until = CondVar::In(pause);
      while (!stopping_ && stop_came_.WaitUntil(mutex_, until)) continue;
      if (stopping_) return;
    }
    const Result<> opened = Open(open);
    if (opened) return;
    if (opened.error().detail == said) continue;
    said = opened.error().detail;
    log::Error("the admin port cannot be opened yet: {}", said);
  }
}

void DeferredControlRoom::SetWarmupConnectionCountMax(size_t count_max) {
  const MutexLock lock(mutex_);
  warmup_connection_count_max_ = count_max;
  if (room_ != nullptr) room_->SetWarmupConnectionCountMax(count_max);
}

void DeferredControlRoom::Begin() {
  const MutexLock lock(mutex_);
  has_begun_ = true;
  if (room_ != nullptr) room_->Begin();
}

}  // namespace shoal
