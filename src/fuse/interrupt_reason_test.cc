#include "fuse/interrupt_reason.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace shoal {
namespace {

std::string Status(const std::string& thread, const std::string& process,
                   const std::string& blocked) {
  return "Name:\tcat\nState:\tS (sleeping)\nSigQ:\t0/31456\nSigPnd:\t" + thread + "\nShdPnd:\t" +
         process + "\nSigBlk:\t" + blocked + "\nSigIgn:\t0000000000001000\n";
}
const std::string kNone = "0000000000000000";
const std::string kInterrupt = "0000000000000002";  // SIGINT
const std::string kKill = "0000000000000100";       // SIGKILL
const std::string kAlarm = "0000000000002000";      // SIGALRM

TEST(InterruptReason, IsASignalToTheThreadOrToItsProcess) {
  EXPECT_TRUE(IsReasonToInterrupt(Status(kKill, kNone, kNone)));
  EXPECT_TRUE(IsReasonToInterrupt(Status(kNone, kInterrupt, kNone)));
}

TEST(InterruptReason, IsNotAClockNorABlockedSignalNorNoneAtAll) {
  EXPECT_FALSE(IsReasonToInterrupt(Status(kNone, kNone, kNone)));
  EXPECT_FALSE(IsReasonToInterrupt(Status(kNone, kAlarm, kNone)));
  EXPECT_FALSE(IsReasonToInterrupt(Status(kNone, kInterrupt, kInterrupt)));
}

TEST(InterruptReason, IsAssumedWhereItCannotBeSeen) {
  EXPECT_TRUE(IsReasonToInterrupt(""));
  EXPECT_TRUE(IsReasonToInterrupt("Name:\tcat\nSigPnd:\tnonsense\n"));
  EXPECT_TRUE(IsThreadInterrupted(0));
  EXPECT_FALSE(IsThreadInterrupted(gettid()));
}

}  // namespace
}  // namespace shoal
