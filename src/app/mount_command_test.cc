#include "app/mount_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/exit_status.h"

namespace shoal {
namespace {

using testing::StartsWith;

struct Outcome {
  int status = 0;
  std::string said;
};

// Every one of these ends before anything is started.
Outcome RunHelper(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "mount.alinas");
  testing::internal::CaptureStderr();
  const int status = RunMountCommand(static_cast<int>(arguments.size()), arguments.data(),
                                     {"mount.alinas", "alinas", true});
  return {status, testing::internal::GetCapturedStderr()};
}

TEST(MountCommand, AWrongCommandLineEndsWithTheUsageStatusAndTheReason) {
  const Outcome no_source = RunHelper({"data", "/mnt", "-o", "efc"});
  EXPECT_EQ(no_source.status, kExitUsage);
  EXPECT_THAT(no_source.said, StartsWith("mount.alinas: source 'data': it has no ':/'"));

  const Outcome option = RunHelper({"data.e.com:/", "/mnt", "-o", "endpont=x"});
  EXPECT_EQ(option.status, kExitUsage);
  EXPECT_EQ(option.said, "mount.alinas: unknown option 'endpont'; did you mean 'endpoint'?\n");

  const Outcome level = RunHelper({"data.e.com:/", "/mnt", "-o", "log_level=loud"});
  EXPECT_EQ(level.status, kExitUsage);
  EXPECT_THAT(level.said, StartsWith("mount.alinas: log level 'loud' is not one of"));
}

TEST(MountCommand, AMountPointThatIsNotThereIsAFailure) {
  const Outcome outcome = RunHelper({"data.e.com:/", "/nonexistent/point", "-o", "efc"});
  if (outcome.status == kExitUsage) GTEST_SKIP() << "not root: " << outcome.said;
  EXPECT_EQ(outcome.status, kExitFailure);
  EXPECT_EQ(outcome.said,
            "mount.alinas: mount point /nonexistent/point does not exist; make the directory "
            "first\n");
}

TEST(MountCommand, FakeChecksEverythingAndMountsNothing) {
  const Outcome outcome = RunHelper({"data.e.com:/", "/", "-f", "-o", "efc"});
  if (outcome.status == kExitUsage) GTEST_SKIP() << "not root: " << outcome.said;
  EXPECT_EQ(outcome.status, kExitSuccess);
  EXPECT_EQ(outcome.said, "");
}

}  // namespace
}  // namespace shoal
