// The control room of a mount, which may open later than the mount is served: after a death its
// port can still be taken, or the file of its token be away, and a mount goes on without.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "app/control_room.h"
#include "base/mutex.h"
#include "base/result.h"

namespace shoal {

// Thread-safe.
class DeferredControlRoom {
 public:
  using Opener = std::function<Result<std::unique_ptr<ControlRoom>>()>;

  DeferredControlRoom() = default;
  // Ends the room; waits for an attempt under way.
  ~DeferredControlRoom();
  DeferredControlRoom(const DeferredControlRoom&) = delete;
  DeferredControlRoom& operator=(const DeferredControlRoom&) = delete;

  // Tries once. What `open` uses outlives this, here and below.
  Result<> Open(const Opener& open) EXCLUDES(mutex_);
  // Once, after an Open that failed. Tries from now on until it opens, every 2 seconds and then
  // more seldom, down to every 30.
  void KeepTrying(Opener open);
  // ControlRoom::Begin, as soon as there is one.
  void Begin() EXCLUDES(mutex_);
  // ControlRoom's; of one that opens later as well.
  void SetWarmupConnectionCountMax(size_t count_max) EXCLUDES(mutex_);

 private:
  void Try(const Opener& open) EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar stop_came_;
  std::unique_ptr<ControlRoom> room_ GUARDED_BY(mutex_);  // null also where there is no port
  bool has_begun_ GUARDED_BY(mutex_) = false;
  std::optional<size_t> warmup_connection_count_max_ GUARDED_BY(mutex_);  // if it was set
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread trying_;
};

}  // namespace shoal
