#include "fuse/request_metrics.h"

#include <cerrno>

#include "fuse/kernel_abi.h"

namespace shoal {
namespace {

using Kind = RequestMetrics::Kind;

constexpr std::array<std::string_view, RequestMetrics::kKindCount> kKindNames = {
    "lookup", "getattr", "open", "read", "readdir", "other"};

Kind KindOf(uint32_t opcode) {
  switch (opcode) {
    case FUSE_LOOKUP:
      return Kind::kLookup;
    case FUSE_GETATTR:
      return Kind::kGetAttributes;
    case FUSE_OPEN:
      return Kind::kOpen;
    case FUSE_READ:
      return Kind::kRead;
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
      return Kind::kReadDirectory;
    default:
      return Kind::kOther;
  }
}

// Asked of every file by ls and others, and not had by any: no trouble of the mount's.
bool IsRefusalByDesign(uint32_t opcode, int error) {
  return (opcode == FUSE_LOOKUP && error == ENOENT) || error == ENOSYS || error == EROFS ||
         error == EINTR;
}

}  // namespace

void RequestMetrics::Answered(uint32_t opcode, Instant received, int error, size_t body_bytes) {
  const auto kind = static_cast<size_t>(KindOf(opcode));
  latencies_[kind].Observe(clock_.Now() - received);
  if (opcode == FUSE_READ) read_bytes_.Add(body_bytes);
  if (error != 0 && !IsRefusalByDesign(opcode, error)) errors_[kind].Add();
}

void RequestMetrics::ReportTo(MetricReport& report) const {
  for (size_t i = 0; i < kKindCount; ++i)
    report.Add(latencies_[i], {{"op", std::string(kKindNames[i])}});
  for (size_t i = 0; i < kKindCount; ++i)
    report.Add(errors_[i], {{"op", std::string(kKindNames[i])}});
  report.Add(read_bytes_);
  report.Add(passed_opens_);
  report.Add(passed_bytes_);
}

}  // namespace shoal
