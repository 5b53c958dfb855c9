#include "fuse/interrupt_reason.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace shoal {
namespace {

std::string Status(const std::string& thread, const std::string& process,
                   const std::string& blocked) {
  return "Name:\tcat\nState:\tS (sleeping)\nSigQ:\t0/31456\nSigPnd:\t" + thread + "\nShdPnd:\t" +
         process + "\nSigBlk:\t" + blocked + "\nSigIgn:\t0000000000001000\n";
}
// As the kernel prints a set of signals.
std::string SetOf(std::initializer_list<int> signals) {
  uint64_t bits = 0;
  for (const int signal : signals) bits |= uint64_t{1} << (signal - 1);
  return fmt::format("{:016x}", bits);
}
const std::string kNone = SetOf({});
const std::string kInterrupt = SetOf({SIGINT});
const std::string kKill = SetOf({SIGKILL});
const std::initializer_list<int> kOutlasted = {SIGALRM, SIGVTALRM, SIGPROF,  SIGURG,
                                               SIGCHLD, SIGIO,     SIGWINCH, SIGCONT,
                                               SIGSTOP, SIGTSTP,   SIGTTIN,  SIGTTOU};

TEST(InterruptReason, IsASignalToTheThreadOrToItsProcess) {
  EXPECT_TRUE(IsReasonToInterrupt(Status(kKill, kNone, kNone)));
  EXPECT_TRUE(IsReasonToInterrupt(Status(kNone, kInterrupt, kNone)));
}

TEST(InterruptReason, IsEverySignalButClocksAndThoseThatStopAndContinue) {
  for (int signal = 1; signal < SIGRTMAX; ++signal) {
    const bool outlasted = std::ranges::find(kOutlasted, signal) != kOutlasted.end();
    EXPECT_EQ(IsReasonToInterrupt(Status(kNone, SetOf({signal}), kNone)), !outlasted) << signal;
    EXPECT_EQ(IsReasonToInterrupt(Status(SetOf({signal}), kNone, kNone)), !outlasted) << signal;
  }
}

TEST(InterruptReason, IsFoundBesideASignalThatIsNone) {
  for (const int signal : kOutlasted) {
    EXPECT_TRUE(IsReasonToInterrupt(Status(kNone, SetOf({signal, SIGINT}), kNone))) << signal;
    EXPECT_TRUE(IsReasonToInterrupt(Status(SetOf({signal}), kKill, kNone))) << signal;
  }
}

TEST(InterruptReason, IsNotABlockedSignalNorNoneAtAll) {
  EXPECT_FALSE(IsReasonToInterrupt(Status(kNone, kNone, kNone)));
  EXPECT_FALSE(IsReasonToInterrupt(Status(kNone, kInterrupt, kInterrupt)));
}

TEST(InterruptReason, IsAssumedWhereItCannotBeSeen) {
  EXPECT_TRUE(IsReasonToInterrupt(""));
  EXPECT_TRUE(IsReasonToInterrupt("Name:\tcat\nSigPnd:\tnonsense\n"));
  EXPECT_TRUE(IsThreadInterrupted(0));
  EXPECT_FALSE(IsThreadInterrupted(gettid()));
}

TEST(InterruptReason, IsNotAssumedWhereTheKernelToldOfNone) {
  constexpr pid_t kNobody = 1 << 29;  // more than there can be
  EXPECT_TRUE(IsThreadInterrupted(kNobody));
  EXPECT_FALSE(IsThreadSeenInterrupted(kNobody));
  EXPECT_FALSE(IsThreadSeenInterrupted(0));
  EXPECT_FALSE(IsThreadSeenInterrupted(gettid()));
  EXPECT_TRUE(IsThreadKilled(kNobody));
  EXPECT_FALSE(IsThreadKilled(gettid()));
  for (const pid_t thread : {kNobody, 0, gettid()}) EXPECT_FALSE(IsThreadSeenKilled(thread));
}

}  // namespace
}  // namespace shoal
