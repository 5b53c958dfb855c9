#include "app/mount_signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <semaphore>
#include <thread>

#include "base/exit_status.h"

namespace shoal {
namespace {

// Whether nobody has taken it from the process's queue yet.
bool IsPending(int number) {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, number) == 1;
}

TEST(MountSignals, ASignalStopsWhatServes) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    MountSignals signals;
    signals.Keep();
    std::binary_semaphore stopped{0};
    signals.StopOn([&] { stopped.release(); });
    kill(getpid(), number);
    stopped.acquire();
  }
}

TEST(MountSignals, ASignalToForgetForgetsAndStopsNothing) {
  MountSignals signals;
  signals.Keep();
  std::binary_semaphore forgot(0);
  signals.StopOn([] { FAIL(); });
  signals.ForgetOn([&] { forgot.release(); });
  kill(getpid(), SIGUSR1);
  forgot.acquire();
}

TEST(MountSignals, ASignalThatCameBeforeThereWasWhatToStopIsKept) {
  MountSignals signals;
  signals.Keep();
  kill(getpid(), SIGTERM);
  while (IsPending(SIGTERM)) std::this_thread::yield();
  std::binary_semaphore stopped{0};
  signals.StopOn([&] { stopped.release(); });
  EXPECT_TRUE(stopped.try_acquire_for(std::chrono::seconds(20)));
}

TEST(MountSignals, AfterFinishASignalReachesNobody) {
  MountSignals signals;
  signals.Keep();
  bool stopped = false;
  signals.StopOn([&] { stopped = true; });
  signals.Finish();
  kill(getpid(), SIGTERM);
  EXPECT_FALSE(stopped);
  // Taken from the queue, so that unblocking does not end the test.
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  int number = 0;
  EXPECT_EQ(sigwait(&term, &number), 0);
}

TEST(MountSignalsDeathTest, BeforeAnythingIsMountedASignalEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        MountSignals signals;
        kill(getpid(), SIGTERM);
        pause();
      },
      testing::ExitedWithCode(kExitInterrupted), "");
}

}  // namespace
}  // namespace shoal
