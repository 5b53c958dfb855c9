// What `shoal doctor` looks at. Those that take values are pure; the others only look, change
// nothing, and give up in seconds.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/machine_limits.h"
#include "app/mount_options.h"
#include "base/clock.h"
#include "base/result.h"

namespace shoal {

struct Finding {
  enum class Severity : uint8_t { kGood, kNote, kBad };
  Severity severity = Severity::kGood;
  std::string subject;  // "kernel", "credentials"
  std::string text;     // what is so
  std::string advice;   // what to do; empty when there is nothing

  friend bool operator==(const Finding&, const Finding&) = default;
};

// `release`: of uname, "6.18.44-custom".
Finding CheckKernel(std::string_view release);
// `switched_on`: what enable_uring of the fuse module says. `made`: of TryIoUring.
Finding CheckIoUring(std::string_view release, bool switched_on, const Result<>& made);
Finding CheckDescriptors(rlim_t hard_limit);
Finding CheckThreads(const ThreadLimit& limit);
// `skew_seconds`: this clock less the store's.
Finding CheckClock(int64_t skew_seconds);

// The machine, whatever is mounted.
std::vector<Finding> CheckMachine(const std::filesystem::path& root = "/");
// What a mount with these options needs of the machine and of the store. Asks the store once.
std::vector<Finding> CheckMount(const MountOptions& options, const Clock& clock);
// The same of a mount that is there, which has its memory and its port: the directories of its
// cache, the endpoint, the clock, and its credentials, by one request. For `options` as they are
// in force.
std::vector<Finding> CheckSurroundings(const MountOptions& options, const Clock& clock);

}  // namespace shoal
