#include "app/background.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <new>
#include <string>
#include <thread>

#include "base/exit_status.h"

namespace shoal {
namespace {

using namespace std::chrono_literals;

class Background : public testing::Test {
 protected:
  Verdict Run(const std::function<int(const ReportVerdict&)>& serve, Duration wait = 60s) {
    return RunInBackground(serve, wait, clock_);
  }
  SystemClock clock_;
};

// What the daemon finds, as its reason.
Verdict Found(const std::string& text) {
  return {kExitFailure, text};
}

// Memory of the caller and the daemon both.
struct Shared {
  sem_t caller_went_on;
  sem_t daemon_went_on;
  bool caller_heard = true;
};

Shared* MakeShared() {
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* const shared = new (memory) Shared;
  sem_init(&shared->caller_went_on, /*pshared=*/1, 0);
  sem_init(&shared->daemon_went_on, /*pshared=*/1, 0);
  return shared;
}

TEST_F(Background, ADaemonThatServesGoesOnAfterItsVerdict) {
  Shared* const shared = MakeShared();
  EXPECT_EQ(Run([&](const ReportVerdict& report) {
              shared->caller_heard = report({kExitSuccess, ""});
              sem_wait(&shared->caller_went_on);
              sem_post(&shared->daemon_went_on);
              return 0;
            }),
            (Verdict{kExitSuccess, ""}));
  sem_post(&shared->caller_went_on);
  sem_wait(&shared->daemon_went_on);
  EXPECT_TRUE(shared->caller_heard);
  munmap(shared, sizeof(Shared));
}

TEST_F(Background, ADaemonLearnsThatNobodyWaitsForItsVerdict) {
  Shared* const shared = MakeShared();
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &term, &before);  // so that the daemon outlives being told to end
  Run(
      [&](const ReportVerdict& report) {
        sem_wait(&shared->caller_went_on);
        shared->caller_heard = report({kExitSuccess, ""});
        sem_post(&shared->daemon_went_on);
        return 0;
      },
      0s);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  sem_post(&shared->caller_went_on);
  sem_wait(&shared->daemon_went_on);
  EXPECT_FALSE(shared->caller_heard);
  munmap(shared, sizeof(Shared));
}

TEST_F(Background, TheReasonOfADaemonThatFailsReachesTheCaller) {
  EXPECT_EQ(Run([](const ReportVerdict& report) {
              report({kExitFailure, "no bucket 'x'"});
              return kExitFailure;
            }),
            (Verdict{kExitFailure, "no bucket 'x'"}));
}

TEST_F(Background, AVerdictMayComeFromAnotherThread) {
  EXPECT_EQ(Run([](const ReportVerdict& report) {
              std::thread([&] { report({kExitUsage, "said elsewhere"}); }).join();
              return 0;
            }),
            (Verdict{kExitUsage, "said elsewhere"}));
}

TEST_F(Background, ADaemonThatEndsWithoutAWordIsAFailure) {
  EXPECT_EQ(Run([](const ReportVerdict&) { return 5; }),
            (Verdict{kExitFailure, "the daemon ended with status 5; its log may say why"}));
  EXPECT_EQ(Run([](const ReportVerdict&) { return raise(SIGKILL); }),
            (Verdict{kExitFailure, "the daemon was ended by signal 9; its log may say why"}));
}

TEST_F(Background, ADaemonThatSaysNothingIsToldToEnd) {
  EXPECT_EQ(Run(
                [](const ReportVerdict&) {
                  pause();
                  return 0;
                },
                0s),
            (Verdict{kExitFailure,
                     "the daemon did not come up within 0 s; its log says how far it got"}));
}

TEST_F(Background, AReasonTooLongForThePipeIsCut) {
  const Verdict verdict = Run([](const ReportVerdict& report) {
    report({kExitFailure, std::string(100'000, 'x')});
    return 0;
  });
  EXPECT_EQ(verdict, (Verdict{kExitFailure, std::string(4095, 'x')}));
}

TEST_F(Background, TheDaemonHasNoDirectoryTerminalOrDescriptorsOfTheCaller) {
  const int inherited_fd = open("/proc/self/exe", O_RDONLY);  // on purpose not close-on-exec
  EXPECT_EQ(Run([&](const ReportVerdict& report) {
              char directory[16] = {};
              std::string found = getcwd(directory, sizeof(directory)) ? directory : "?";
              found += getsid(0) == getpid() ? ", own session" : ", the caller's session";
              found += fcntl(inherited_fd, F_GETFD) < 0 ? "" : ", the caller's descriptor";
              for (const int fd : {0, 1, 2}) {
                char target[32] = {};
                const std::string link = "/proc/self/fd/" + std::to_string(fd);
                if (readlink(link.c_str(), target, sizeof(target) - 1) > 0)
                  found += std::string(", ") + target;
              }
              report(Found(found));
              return 0;
            }),
            Found("/, own session, /dev/null, /dev/null, /dev/null"));
  close(inherited_fd);
}

}  // namespace
}  // namespace shoal
