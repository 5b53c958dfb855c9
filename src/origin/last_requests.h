// LastRequests: how the newest request for each object ended, with the store's own id of it,
// which is what a store's operator wants to be told. Of so many objects as were asked for
// last. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/mutex.h"

namespace shoal {

struct LastRequest {
  std::string operation{};  // "GetObject"
  std::string id{};         // the store's; empty: it gave none, or no answer came
  int status = 0;           // of HTTP; 0: no answer came
  std::string failure{};    // for people; empty: all came as asked for
  int64_t ended_unix_micros = 0;

  friend bool operator==(const LastRequest&, const LastRequest&) = default;
};

class LastRequests {
 public:
  // With keys of the longest and failures cut short as below, 8 MiB; with usual ones, 1 MiB.
  static constexpr size_t kKeyCountMax = 4096;
  // An id or a failure is what somebody else sent, of any length.
  static constexpr size_t kIdBytesMax = 128;
  static constexpr size_t kFailureBytesMax = 512;

  explicit LastRequests(size_t key_count_max = kKeyCountMax) : key_count_max_(key_count_max) {}

  // The object that was asked for least lately makes room.
  void Note(std::string_view key, LastRequest request) EXCLUDES(mutex_);
  [[nodiscard]] std::optional<LastRequest> Of(std::string_view key) const EXCLUDES(mutex_);

 private:
  using Notes = std::list<std::pair<const std::string, LastRequest>>;

  const size_t key_count_max_;
  mutable Mutex mutex_;
  Notes notes_ GUARDED_BY(mutex_);  // the newest first
  // Keys are those of the notes, which stay where they are.
  std::unordered_map<std::string_view, Notes::iterator> by_key_ GUARDED_BY(mutex_);
};

}  // namespace shoal
