// What manages a mount that is served: warm-up tasks, reports and the admin port that speaks
// for them. There is none without g_server_Port.
#pragma once

#include <memory>

#include "app/assemble.h"
#include "app/mount_plan.h"
#include "base/clock.h"
#include "base/result.h"
#include "control/node_parts.h"
#include "fuse/session.h"

namespace shoal {

class ControlRoom {
 public:
  // Listens when it returns. Null without a port. What is given outlives it. Commands find it by
  // the mount's path, unless that is another mount's (`has_its_path`). Errors name the option:
  // AdminServer::Start's and StartWarmup's.
  static Result<std::unique_ptr<ControlRoom>> Open(const MountPlan& plan, Node& node,
                                                   Session& session, const Clock& clock,
                                                   bool has_its_path,
                                                   const WorkersBefore& workers_before);
  // The session has what it needs: warm-ups may run.
  void Begin();
  // From now on. Not those of the store, which is the node's.
  void SetWarmupConnectionCountMax(size_t count_max);
  // Ends what is under way; running warm-ups go on with the next process.
  ~ControlRoom();
  ControlRoom(const ControlRoom&) = delete;
  ControlRoom& operator=(const ControlRoom&) = delete;

 private:
  struct Parts;
  explicit ControlRoom(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace shoal
