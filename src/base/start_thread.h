// Threads where a process may have no more of them: a control group (a pod's, or a systemd unit's)
// and a user have a limit of their own.
//
// std::thread throws then. Constructors let that pass, as a process cannot start without them, and
// who calls them in IfThreadsAllow has it as a value. Later threads are made by StartThread, and
// whoever wants one goes on without.
#pragma once

#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace shoal {

inline Error NoThread(const std::system_error& refused) {
  return {Errc::kBusy, std::string("no thread can be made: ") + refused.what() +
                           ": pids.max of the control group (TasksMax of a unit) or `ulimit -u` "
                           "allows no more"};
}

// What `start` answers, a Result. kBusy: it met the limit.
template <class Start>
std::invoke_result_t<Start> IfThreadsAllow(Start start) {
  try {
    return start();
  } catch (const std::system_error& refused) {
    return tl::unexpected(NoThread(refused));
  }
}

// kBusy: there may be no more.
template <class Work>
Result<std::thread> StartThread(Work work) {
  return IfThreadsAllow([&]() -> Result<std::thread> { return std::thread(std::move(work)); });
}

}  // namespace shoal
