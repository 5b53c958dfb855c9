// Holds off others who change the same mount, for its life. Whoever has it may wait for a worker
// that hangs, so it is not waited for without bound.
//
// Not thread-safe.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal {

class StateLock {
 public:
  // Longer than a command takes whose keeper uses up each step's time, with the default
  // recovery_limit.
  static constexpr Duration kWaitMax = std::chrono::seconds(150);

  // Of a mount's state directory. kBusy, naming the process: another has it still after `wait`;
  // kNotFound: there is no such directory; kUnreachable: it cannot be opened.
  static Result<StateLock> Take(const std::string& directory, Duration wait = kWaitMax);

 private:
  explicit StateLock(FileDescriptor held) : held_(std::move(held)) {}

  FileDescriptor held_;
};

}  // namespace shoal
