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
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<std::vector<WarmupTask>>> tasks;
  bool wanted = true;
};

WarmupSaver::WarmupSaver(const std::string& file, Owner owner)
    : file_(file),
      loading_(std::make_shared<Loading>()),
      owner_(std::move(owner)),
      thread_([this] { Loop(); }) {}

WarmupSaver::~WarmupSaver() {
  {
    const std::scoped_lock lock(loading_->mutex);
    loading_->wanted = false;
    loading_->changed.notify_all();
  }
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    wanted_changed_.notify_all();
  }
  thread_.join();
}

bool WarmupSaver::AwaitLoaded(Duration wait) {
  std::unique_lock lock(mutex_);
  return loaded_changed_.wait_for(lock, wait, [this] { return loaded_; });
}

void WarmupSaver::Flush() {
  std::unique_lock lock(mutex_);
  if (!loaded_) return;
  const uint64_t wanted = ++wanted_;
  wanted_changed_.notify_all();
  if (hangs_) return;
  if (!attempted_changed_.wait_for(lock, kFlushWait, [&] { return attempted_ >= wanted; }))
    hangs_ = true;
}

void WarmupSaver::Loop() {
  pthread_setname_np(pthread_self(), "warmup-save");
  if (!file_.empty() && !Load()) return;
  std::unique_lock lock(mutex_);
  loaded_ = true;
  loaded_changed_.notify_all();
  while (true) {
    wanted_changed_.wait_for(lock, kSaveEvery,
                             [this] { return stopping_ || wanted_ > attempted_; });
    const bool is_last = stopping_;
    const uint64_t attempt = wanted_;
    lock.unlock();
    Save();
    lock.lock();
    attempted_ = attempt;
    hangs_ = false;
    attempted_changed_.notify_all();
    if (is_last) return;
  }
}

bool WarmupSaver::Load() {
  auto loader = StartThread([loading = loading_, file = file_] {
    pthread_setname_np(pthread_self(), "warmup-open");
    Result<std::vector<WarmupTask>> tasks = WarmupStore(file).Load();
    const std::scoped_lock lock(loading->mutex);
    loading->tasks = std::move(tasks);
    loading->changed.notify_all();
  });
  if (loader) {
    loader->detach();
    std::unique_lock lock(loading_->mutex);
    loading_->changed.wait(lock, [this] { return loading_->tasks || !loading_->wanted; });
    if (!loading_->tasks) return false;
  } else {
    loading_->tasks = tl::unexpected(loader.error());
  }
  owner_.loaded(*std::move(loading_->tasks));
  store_.emplace(file_);
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
