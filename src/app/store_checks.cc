#include "app/store_checks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "app/probe_bucket.h"
#include "base/log.h"
#include "control/admin_token.h"
#include "fs/shared_hand_over.h"
#include "origin/open_store.h"

namespace shoal {
namespace {

constexpr uint64_t kProbeSecondsMax = 15;
// The keeper waits for longer.
constexpr std::chrono::seconds kProbeBeforeTakingOverMax{5};

Result<> CheckAdminFiles(const AdminOptions& options, const Clock& clock) {
  if (options.port == 0) return {};
  if (const auto token = AdminToken::Open(options.token_file, clock); !token)
    return tl::unexpected(token.error());
  for (const std::string* file :
       {&options.certificate_file, &options.key_file, &options.client_ca_file})
    if (!file->empty() && access(file->c_str(), R_OK) != 0)
      return Fail(Errc::kInvalid, fmt::format("{}: {}", *file, std::strerror(errno)));
  return {};
}

bool NameTheSameStore(const OriginOptions& a, const OriginOptions& b) {
  return a.endpoint == b.endpoint && a.bucket == b.bucket && a.protocol == b.protocol &&
         a.region == b.region && a.addressing == b.addressing && a.path_style == b.path_style &&
         a.signature_version == b.signature_version && a.ca_file == b.ca_file &&
         a.verify_certificate == b.verify_certificate && a.passwd_file == b.passwd_file &&
         a.sts_file == b.sts_file;
}

}  // namespace

Result<std::string> CheckBeforeMounting(const MountPlan& plan, const Node& node,
                                        const Clock& clock) {
  const OriginOptions& origin = plan.options.origin;
  const uint64_t seconds = std::min(origin.request_deadline_seconds, kProbeSecondsMax);
  return ProbeBucket(*node.store, *node.credentials, origin, plan.options.file_system.prefix,
                     Deadline::After(clock, std::chrono::seconds(static_cast<int64_t>(seconds))));
}

Result<> CheckBeforeTakingOver(const MountPlan& plan, const MountMemory& memory,
                               const Clock& clock) {
  RETURN_IF_ERROR(SharedHandOver::CheckVersion(memory.hand_over_area()));
  const MountOptions& options = plan.options;
  ASSIGN_OR_RETURN(std::shared_ptr<CredentialSource> credentials,
                   OpenCredentials(options.origin, clock));
  ASSIGN_OR_RETURN(const auto store, OpenStore(options.origin, credentials, clock));
  RETURN_IF_ERROR(CheckAdminFiles(options.admin, clock));
  const auto served = ReadMountState(StateDirectory(plan.mount_point) + "/state.json");
  const auto before = served ? OptionsOf(*served) : tl::unexpected(served.error());
  if (!before || NameTheSameStore(before->origin, options.origin)) return {};
  ASSIGN_OR_RETURN(const std::string warning,
                   ProbeBucket(*store, *credentials, options.origin, options.file_system.prefix,
                               Deadline::After(clock, kProbeBeforeTakingOverMax)));
  if (!warning.empty()) log::Warn("{}", warning);
  return {};
}

}  // namespace shoal
