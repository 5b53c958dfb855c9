#include "app/keeper_files.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "app/keeper_socket.h"

namespace shoal {
namespace {

const MountState kState{.source = "data:/",
                        .subtype = "shoal",
                        .mount_point = "/keeper-files-test-" + std::to_string(getpid()),
                        .options = {},
                        .log_level = {},
                        .binary = {},
                        .version = {}};

// Of a mount that is there, and ends when it is told to.
class OtherKeeper {
 public:
  OtherKeeper() {
    int down[2];
    int up[2];
    if (pipe(down) != 0 || pipe(up) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      KeeperFiles files(kState);
      char byte = files.Begin() && files.Publish() ? 'y' : 'n';
      const bool told = write(up[1], &byte, 1) == 1 && read(down[0], &byte, 1) == 1;
      files.Remove();
      _exit(told ? 0 : 1);
    }
    close(down[0]);
    close(up[1]);
    tell_ = FileDescriptor(down[1]);
    const FileDescriptor hear(up[0]);
    char byte = 'n';
    is_there_ = read(hear.get(), &byte, 1) == 1 && byte == 'y';
  }

  [[nodiscard]] bool is_there() const { return is_there_; }
  void End() const { ASSERT_EQ(write(tell_.get(), "e", 1), 1); }
  void AwaitEnd() const {
    int status = 1;
    waitpid(pid_, &status, 0);
    EXPECT_EQ(status, 0);
  }

 private:
  pid_t pid_ = -1;
  FileDescriptor tell_;
  bool is_there_ = false;
};

TEST(KeeperFilesTest, OneThatEndsLeavesWhatTheNextOneAtItsPathBringsJustThen) {
  if (geteuid() != 0) GTEST_SKIP() << "/run/shoal is of root alone";
  for (int i = 0; i < 1000 && !HasFailure(); ++i) {
    const OtherKeeper old;
    ASSERT_TRUE(old.is_there());
    KeeperFiles next(kState);
    old.End();
    // So that each step of the one meets each of the other.
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(i % 200);
    while (std::chrono::steady_clock::now() < end) {
    }
    const Result<> begun = next.Begin();
    const Result<> published = next.Publish();
    old.AwaitEnd();
    EXPECT_TRUE(begun) << begun.error().detail;
    EXPECT_TRUE(published) << published.error().detail;
    const auto found = ReadMountState(next.directory() + "/state.json");
    EXPECT_EQ(found ? found->keeper_pid : 0, getpid());
    EXPECT_TRUE(IsKept(next.directory()));
    next.Remove();
    EXPECT_FALSE(std::filesystem::exists(next.directory()));
  }
}

}  // namespace
}  // namespace shoal
