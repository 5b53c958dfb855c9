#include "control/warmup_saver.h"

#include <pthread.h>

#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace shoal {
namespace {

constexpr Duration kSaveEvery = std::chrono::seconds(1);
constexpr Duration kFlushWait = std::chrono::seconds(10);

}  // namespace

WarmupSaver::WarmupSaver(std::optional<WarmupStore> store, Owner owner)
    : store_(std::move(store)), owner_(std::move(owner)), thread_([this] { Loop(); }) {}

WarmupSaver::~WarmupSaver() {
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
  const uint64_t wanted = ++wanted_;
  wanted_changed_.notify_all();
  attempted_changed_.wait_for(lock, kFlushWait, [&] { return attempted_ >= wanted; });
}

void WarmupSaver::Loop() {
  pthread_setname_np(pthread_self(), "warmup-save");
  if (store_) owner_.loaded(store_->Load());
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
    attempted_changed_.notify_all();
    if (is_last) return;
  }
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
