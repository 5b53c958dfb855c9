#include "app/control_room.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <climits>
#include <filesystem>
#include <string>
#include <utility>

#include "app/mount_state.h"
#include "app/restart_command.h"
#include "app/version.h"
#include "base/log.h"
#include "control/admin_server.h"
#include "control/describe_path.h"
#include "control/node_reporter.h"
#include "control/runtime_directory.h"
#include "control/warmup_service.h"
#include "net/public_key_pin.h"

namespace shoal {
namespace {

constexpr size_t kNameRoomBytes = 24;

// Of this mount of this bucket alone.
std::string WarmupStateFile(const MountPlan& plan) {
  const OriginOptions& origin = plan.options.origin;
  const std::string bucket =
      "/" + origin.endpoint + "/" + origin.bucket + "/" + plan.options.file_system.prefix;
  std::string name = EscapeMountPoint(bucket);
  // SQLite puts files beside it whose names are longer.
  if (name.size() + kNameRoomBytes > NAME_MAX)
    name = fmt::format("long-{:016x}", XXH3_64bits(bucket.data(), bucket.size()));
  return std::filesystem::path(plan.options.command.state_directory) /
         EscapeMountPoint(plan.mount_point) / (name + ".warmup");
}

Result<AdminAddress> AddressOf(const AdminServer& server, const AdminOptions& options) {
  AdminAddress address{.url = server.url(), .token_file = options.token_file, .public_key_pin = {}};
  if (!options.certificate_file.empty()) {
    ASSIGN_OR_RETURN(address.public_key_pin, PublicKeyPinOf(options.certificate_file));
  }
  return address;
}

}  // namespace

// Each uses those above it.
struct ControlRoom::Parts {
  std::string mount_point;
  FileDescriptor port_hold;
  AdminAddress address;
  std::unique_ptr<WarmupTasks> warmup;
  std::unique_ptr<NodeReporter> reporter;
  std::unique_ptr<AdminServer> server;
};

Result<std::unique_ptr<ControlRoom>> ControlRoom::Open(const MountPlan& plan, Node& node,
                                                       Session& session, const Clock& clock,
                                                       bool has_its_path,
                                                       const WorkersBefore& workers_before) {
  const MountOptions& options = plan.options;
  // Of a process that was killed: whoever has its port now is sent no token.
  if (has_its_path) RemoveAdminAddress(plan.mount_point);
  if (options.admin.port == 0) return nullptr;
  auto parts = std::make_unique<Parts>();
  parts->mount_point = plan.mount_point;

  WarmupOptions warmup = options.warmup;
  warmup.mount_prefix = options.file_system.prefix;
  warmup.state_file = WarmupStateFile(plan);
  Tier* const tier = node.tiers.disk ? node.tiers.disk.get() : node.tiers.memory.get();
  ASSIGN_OR_RETURN(parts->warmup, StartWarmup(warmup, *node.warmup_store, tier, *node.demand, clock,
                                              node.stop.get_token()));

  parts->reporter =
      std::make_unique<NodeReporter>(NodeParts{.version = std::string(kVersion),
                                               .source = plan.source,
                                               .mount_point = plan.mount_point,
                                               .type = plan.subtype,
                                               .tiers = node.tiers,
                                               .reads = *node.reads,
                                               .fetches = *node.fetches,
                                               .store = *node.store_metrics,
                                               .hidden_keys = node.file_system_metrics->hidden_keys,
                                               .file_system = *node.file_system,
                                               .session = session,
                                               .clock = clock,
                                               .workers_before = workers_before});
  FileSystem& file_system = *node.file_system;
  const auto forget = [&session] {
    const Result<> kernel = session.ForgetNames();
    if (!kernel && kernel.error().code != Errc::kUnsupported)
      log::Warn("{}", kernel.error().detail);
  };
  ASSIGN_OR_RETURN(
      parts->server,
      AdminServer::Start(options.admin, {.warmup = *parts->warmup,
                                         .report = *parts->reporter,
                                         .clear_directory_cache =
                                             [&file_system, forget] {
                                               file_system.ClearDirectoryCache();
                                               forget();
                                             },
                                         .clear_metadata_cache =
                                             [&file_system, forget] {
                                               file_system.ClearMetadataCache();
                                               forget();
                                             },
                                         .describe_path =
                                             [&node, prefix = options.file_system.prefix](
                                                 std::string_view path, Deadline deadline) {
                                               return DescribePath(*node.facts_store,
                                                                   *node.last_requests, prefix,
                                                                   node.tiers, path, deadline);
                                             },
                                         .change_options =
                                             [mount_point = plan.mount_point](const auto& given) {
                                               std::vector<ListedOption> wanted;
                                               for (const auto& [name, value] : given)
                                                 wanted.push_back({name, value});
                                               return UpdateLive(mount_point, wanted);
                                             },
                                         .clock = clock}));
  ASSIGN_OR_RETURN(parts->address, AddressOf(*parts->server, options.admin));
  Result<> written;
  if (has_its_path) {
    auto hold = HoldAdminPort(plan.mount_point);
    written = hold ? WriteAdminAddress(plan.mount_point, parts->address)
                   : Result<>(tl::unexpected(hold.error()));
    if (hold) parts->port_hold = *std::move(hold);
  }
  if (!written)
    log::Warn("shoal's commands will not find the admin port: {}", written.error().detail);
  log::Info("the admin port is {}", parts->server->url());
  return std::unique_ptr<ControlRoom>(new ControlRoom(std::move(parts)));
}

ControlRoom::ControlRoom(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

void ControlRoom::SetWarmupConnectionCountMax(size_t count_max) {
  parts_->warmup->SetConnectionCountMax(count_max);
}

void ControlRoom::Begin() {
  parts_->warmup->Begin();
}

ControlRoom::~ControlRoom() {
  // It may be the next mount's already.
  const auto there = ReadAdminAddress(parts_->mount_point);
  if (there && *there == parts_->address) RemoveAdminAddress(parts_->mount_point);
}

}  // namespace shoal
