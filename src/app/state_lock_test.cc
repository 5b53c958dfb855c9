#include "app/state_lock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "testing/temporary_directory.h"

namespace shoal {
namespace {

TEST(StateLock, WhoDoesNotGetItInTimeIsToldWhoHasIt) {
  const TemporaryDirectory directory;
  {
    const auto first = StateLock::Take(directory.path());
    ASSERT_TRUE(first) << first.error().detail;
    const auto second = StateLock::Take(directory.path(), std::chrono::milliseconds(30));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::kBusy);
    EXPECT_EQ(
        second.error().detail,
        fmt::format("process {} changes this mount just now: try again, or end it if it hangs",
                    getpid()));
  }
  EXPECT_TRUE(StateLock::Take(directory.path(), Duration::zero()));
}

TEST(StateLock, OfAMountThatIsGoneThereIsNone) {
  const TemporaryDirectory directory;
  EXPECT_EQ(StateLock::Take(directory.path() / "gone").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace shoal
