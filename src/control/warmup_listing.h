// What a warm-up task covers: one file, or all files below a directory, as the store has them
// now and a mount would show them.
//
// Used by one thread. A copy goes on from the same place, also much later.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/visible_objects.h"
#include "control/warmup_path.h"
#include "origin/object_store.h"

namespace shoal {

class WarmupListing {
 public:
  // `mount_prefix` is the mount's part of the bucket: "" or "a/b/". `path` is normalized.
  // `store` outlives it.
  WarmupListing(ObjectStore& store, std::string mount_prefix, const std::string& path,
                WarmupFilter filter);

  // The next files, perhaps none; nothing after the last. One request to the store, or two
  // for a path that is not a directory. kNotFound: nothing has the path; others are the
  // store's. After an error the same is asked for again.
  Result<std::optional<std::vector<ObjectInfo>>> Next(Deadline deadline);

  // Whether Next would ask the store.
  [[nodiscard]] bool has_more() const { return !ended_; }
  // Known once Next has answered.
  [[nodiscard]] bool is_directory() const { return is_directory_; }

 private:
  Result<std::optional<std::vector<ObjectInfo>>> File(Deadline deadline);
  [[nodiscard]] bool Matches(const ObjectInfo& object) const;

  ObjectStore* store_;
  std::string key_;     // of the target, if it is a file
  std::string prefix_;  // of everything in the target, if it is a directory
  WarmupFilter filter_;
  VisibleObjects visible_;
  std::string after_;  // the last key of the newest page
  bool is_directory_;
  bool ended_ = false;
};

}  // namespace shoal
