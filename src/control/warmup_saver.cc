#include "control/warmup_saver.h"

#include <pthread.h>

#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/start_thread.h"

namespace shoal {
namespace {

constexpr Duration kSaveEvery = std::chrono::seconds(1);
constexpr Duration kFlushWait = std::chrono::seconds(10);

}  // namespace

// What it shares with a thread that may outlast it.
struct WarmupSaver::Loading {
  Mutex mutex;
  CondVar changed;
  std::optional<Result<std::vector<WarmupTask>>> tasks GUARDED_BY(mutex);
  bool wanted GUARDED_BY(mutex) = true;
};

WarmupSaver::WarmupSaver(const std::string& file, WarmupStore::Missing missing, Owner owner)
    : file_(file),
      missing_(missing),
      loading_(std::make_shared<Loading>()),
      owner_(std::move(owner)),
      thread_([this] { Loop(); }) {}

WarmupSaver::~WarmupSaver() {
  {
    const MutexLock lock(loading_->mutex);
    loading_->wanted = false;
    loading_->changed.NotifyAll();
  }
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    wanted_changed_.NotifyAll();
  }
  thread_.join();
}

bool WarmupSaver::AwaitLoaded(Duration wait) {
  const MutexLock lock(mutex_);
  const auto until = CondVar::In(wait);
  while (!loaded_ && loaded_changed_.WaitUntil(mutex_, until)) continue;
  return loaded_;
}

void WarmupSaver::Flush() {
  const MutexLock lock(mutex_);
  if (!loaded_) return;
  const uint64_t wanted = ++wanted_;
  wanted_changed_.NotifyAll();
  if (hangs_) return;
  const auto until = CondVar::In(kFlushWait);
  while (attempted_ < wanted && attempted_changed_.WaitUntil(mutex_, until)) continue;
  if (attempted_ < wanted) hangs_ = true;
}

void WarmupSaver::Wake() {
  const MutexLock lock(mutex_);
  ++wanted_;
  wanted_changed_.NotifyAll();
}

void WarmupSaver::Loop() {
  pthread_setname_np(pthread_self(), "warmup-save");
  if (!file_.empty() && !Load()) return;
  const MutexLock lock(mutex_);
  loaded_ = true;
  loaded_changed_.NotifyAll();
  while (true) {
    const auto until = CondVar::In(kSaveEvery);
    while (!stopping_ && wanted_ <= attempted_ && wanted_changed_.WaitUntil(mutex_, until))
      continue;
    const bool is_last = stopping_;
    const uint64_t attempt = wanted_;
    mutex_.Unlock();
    Save();
    mutex_.Lock();
    attempted_ = attempt;
    hangs_ = false;
    attempted_changed_.NotifyAll();
    if (is_last) return;
  }
}

bool WarmupSaver::Load() {
  auto loader = StartThread([loading = loading_, file = file_, missing = missing_] {
    pthread_setname_np(pthread_self(), "warmup-open");
    Result<std::vector<WarmupTask>> tasks = WarmupStore(file, missing).Load();
    const MutexLock lock(loading->mutex);
    loading->tasks = std::move(tasks);
    loading->changed.NotifyAll();
  });
  std::optional<Result<std::vector<WarmupTask>>> tasks;
  if (loader) {
    loader->detach();
    const MutexLock lock(loading_->mutex);
    while (!loading_->tasks && loading_->wanted) loading_->changed.Wait(loading_->mutex);
    if (!loading_->tasks) return false;
    tasks = std::move(loading_->tasks);
  } else {
    tasks = tl::unexpected(loader.error());
  }
  owner_.loaded(*std::move(tasks));
  store_.emplace(file_, missing_);
  return true;
}

void WarmupSaver::Save() {
  const Batch batch = owner_.take();
  if (!store_ || (batch.changed.empty() && batch.gone.empty())) return;
  const Result<> saved = store_->Save(batch.changed, batch.gone);
  if (!saved && saved.error().code == Errc::kCorrupt) {
    owner_.give_all();
  } else if (!saved) {
    if (works_)
      log::Warn("warm-up tasks are not saved until that works again: {}", saved.error().detail);
    owner_.give_back(batch);
  }
  works_ = saved.has_value();
}

}  // namespace shoal
