// Whether a signal that reached a waiting program is a reason to end its wait.
//
// The kernel sends FUSE_INTERRUPT for any signal, also those that programs use as clocks
// (git's progress timer, Go's preemption), those that stop a program (Ctrl-Z) and continue it, and
// when its own io_uring has work for the thread. Few programs expect EINTR of open or stat, and on
// a disk they go on; so those do not end a wait, and a program stops after it. The others do: the
// kernel tells of the first signal only (ParkedCalls looks for later ones), and a program that
// catches Ctrl-C wants it now.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

namespace shoal {

// `status`: the text of /proc/TID/status. True also if it cannot be understood.
bool IsReasonToInterrupt(std::string_view status);

// Of the thread `tid`, as the kernel names it in a request; 0: not one of our PID namespace.
// True of one that is gone, as nobody waits then.
bool IsThreadInterrupted(pid_t tid);
// The same where the kernel told of no signal: false of one that is gone, or cannot be looked at.
// What a thread that is gone has asked for, as reading ahead, others may wait for.
bool IsThreadSeenInterrupted(pid_t tid);
// Whether a signal that reached it ends it, without a core: what a wait for pages on a disk ends
// by. The second as above.
bool IsThreadKilled(pid_t tid);
bool IsThreadSeenKilled(pid_t tid);

}  // namespace shoal
