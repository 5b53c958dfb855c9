// What the admin port answers: the specification's management interface, metrics, health and
// the live page's files. docs/operations.md lists the paths.
//
// An answer to a path below /v1 is always JSON with ErrorCode (an errno, 0 for success) and
// ErrorMessage. A list of paths is answered 200 with an error for each path that has one;
// what cannot be read as a request, or may not be asked, has the HTTP status for that.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "control/admin_access.h"
#include "control/admin_query.h"
#include "control/node_report.h"
#include "control/path_facts.h"
#include "control/warmup_tasks.h"
#include "net/http_call.h"

namespace shoal {

// What the port is about. All of it is thread-safe and outlives it.
struct AdminNode {
  WarmupTasks& warmup;
  NodeReport& report;
  std::function<void()> clear_directory_cache;
  std::function<void()> clear_metadata_cache;
  // Waits for the store. Errors are WarmupTasks::Examine's.
  std::function<Result<PathFacts>(std::string_view path, Deadline deadline)> describe_path;
  // Changes options of the mount by their names, as far as this process can. kInvalid: one is
  // wrong; kUnsupported: one cannot change so; kBusy: not now. Waits for who keeps the mount.
  std::function<Result<>(const std::map<std::string, std::string, std::less<>>& options)>
      change_options;
  const Clock& clock;
};

// Thread-safe.
class AdminApi {
 public:
  explicit AdminApi(AdminNode node) : node_(std::move(node)) {}

  // Waits for the store, where that is asked about, 20 s at most; for the disk that warm-up tasks
  // are saved on, 10 s; and, where options change, for the keeper.
  HttpAnswer Answer(const HttpCall& call, const AdminAccessRules& rules);

  // What a call that never became one is answered.
  static HttpAnswer Refusal(int status, std::string_view reason);

 private:
  struct Route;
  struct Call {
    const HttpCall& http;
    const AdminQuery& query;
    bool is_trusted;  // had to show a token or a certificate
  };

  static const Route* FindRoute(std::string_view path);
  static Result<> CheckParameters(const Route& route, const AdminQuery& query);

  HttpAnswer Load(const Call& call);
  HttpAnswer Stat(const Call& call);
  HttpAnswer Cancel(const Call& call);
  HttpAnswer ListTasks(const Call& call);
  HttpAnswer RunningTasks(const Call& call);
  HttpAnswer DescribePath(const Call& call);
  HttpAnswer Tier(const Call& call);
  HttpAnswer ClearTier(const Call& call);
  HttpAnswer ClearDirectoryCache(const Call& call);
  HttpAnswer ClearMetadataCache(const Call& call);
  HttpAnswer ChangeOptions(const Call& call);
  HttpAnswer Status(const Call& call);
  HttpAnswer Metrics(const Call& call);
  HttpAnswer Health(const Call& call);
  HttpAnswer Ready(const Call& call);
  HttpAnswer ServePageFile(const Call& call);
  // Has the report know of now, where it may be wrong about the store: asks it something small,
  // unless that was done a moment ago.
  void FreshenReadiness();

  const AdminNode node_;
  // Calls that wait for the store: two at once, so that the others always find a thread.
  std::counting_semaphore<> store_calls_{2};
  Mutex mutex_;
  std::optional<Instant> store_tried_ GUARDED_BY(mutex_);
};

}  // namespace shoal
