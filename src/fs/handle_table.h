// Open handles and what they stand for. Thread-safe.
#pragma once

#include <mutex>
#include <optional>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include "fs/file_system.h"

namespace shoal {

// T is copied out to those who use a handle, so it holds what is shared by pointers.
template <class T>
class HandleTable {
 public:
  void Add(HandleId id, T value) {
    const std::unique_lock lock(mutex_);
    rows_.emplace(id, std::move(value));
  }
  [[nodiscard]] std::optional<T> Find(HandleId id) const {
    const std::shared_lock lock(mutex_);
    const auto found = rows_.find(id);
    if (found == rows_.end()) return std::nullopt;
    return found->second;
  }
  // Calls change(value); false if there is no such handle.
  template <class Function>
  bool Change(HandleId id, Function change) {
    const std::unique_lock lock(mutex_);
    const auto found = rows_.find(id);
    if (found == rows_.end()) return false;
    change(found->second);
    return true;
  }
  // Ends the handle; the caller is the last to hold its value here.
  std::optional<T> Take(HandleId id) {
    const std::unique_lock lock(mutex_);
    const auto found = rows_.find(id);
    if (found == rows_.end()) return std::nullopt;
    std::optional<T> value = std::move(found->second);
    rows_.erase(found);
    return value;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<HandleId, T> rows_;  // guarded by mutex_
};

}  // namespace shoal
