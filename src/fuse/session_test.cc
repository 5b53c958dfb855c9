// Sessions on a real /dev/fuse, over both transports.
#include "fuse/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "fuse/mount.h"
#include "fuse/mount_table.h"
#include "testing/eventually.h"
#include "testing/mounted_session.h"

namespace shoal {
namespace {

int ErrnoOf(const std::function<int()>& call) {
  errno = 0;
  return call() < 0 ? errno : 0;
}

class SessionTest : public MountedSessionTest {};

INSTANTIATE_TEST_SUITE_P(Transports, SessionTest, testing::Values("dev", "io_uring"),
                         [](const auto& test) { return test.param; });

TEST_P(SessionTest, FilesReadBackWholeInEveryWay) {
  const std::string large = Pattern(5 * kMiB + 4321, 1);
  file_system_.AddFile(kRootInode, "large", large);
  file_system_.AddFile(kRootInode, "empty", "");
  const InodeId directory = file_system_.AddDirectory(kRootInode, "a directory");
  file_system_.AddFile(directory, "small", "hello");
  MountAndServe();

  EXPECT_EQ(session_->facts().io_uring, GetParam() == "io_uring");
  EXPECT_EQ(session_->facts().request_bytes, kMiB);
  EXPECT_EQ(session_->facts().readahead_kib, options_.readahead_kib);
  EXPECT_TRUE(Slurp(At("large"), 7777) == large);
  EXPECT_TRUE(Slurp(At("large"), kMiB) == large) << "from the page cache";
  EXPECT_TRUE(Slurp(At("large"), kMiB, O_DIRECT) == large);
  EXPECT_TRUE(Slurp(At("large"), 4096, O_DIRECT) == large);
  EXPECT_EQ(Slurp(At("empty"), 4096), "");
  EXPECT_EQ(Slurp(At("a directory/small"), 4096), "hello");
  EXPECT_EQ(Slurp(At("nothing"), 4096), "<open: No such file or directory>");
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, BytesAtHandAreReadWithoutWaitingAndNeedNotAllBe) {
  const std::string contents = Pattern(3 * kMiB + 4321, 4);
  file_system_.AddFile(kRootInode, "file", contents);
  MountAndServe();
  file_system_.SetReadsAtHand(true);
  for (const size_t step : {size_t{4096}, size_t{7777}, size_t{kMiB}})
    EXPECT_TRUE(Slurp(At("file"), step, O_DIRECT) == contents) << step;
  EXPECT_TRUE(Slurp(At("file"), kMiB) == contents);
  EXPECT_EQ(file_system_.read_count(), 0u);
  const size_t read_now_count = file_system_.read_now_count();
  EXPECT_GT(read_now_count, contents.size() / 4096);

  std::atomic<int> wrong_count{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 8; ++i)
    readers.emplace_back([&, i] {
      for (int round = 0; round < 4; ++round) {
        file_system_.SetReadsAtHand((i + round) % 2 == 0);
        if (Slurp(At("file"), 20'480, O_DIRECT) != contents) ++wrong_count;
      }
    });
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong_count, 0);
  EXPECT_GT(file_system_.read_count(), 0u);
  EXPECT_GT(file_system_.read_now_count(), read_now_count);
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, AReadBehindTheEndOfAFileFindsNothing) {
  file_system_.AddFile(kRootInode, "file", Pattern(5000, 8));
  MountAndServe();
  file_system_.SetReadsAtHand(true);
  const int fd = open(At("file").c_str(), O_RDONLY | O_DIRECT);
  ASSERT_GE(fd, 0);
  alignas(4096) char page[4096];
  EXPECT_EQ(pread(fd, page, sizeof(page), 4096), 5000 - 4096);
  EXPECT_TRUE(std::string_view(page, 5000 - 4096) == Pattern(5000, 8).substr(4096));
  EXPECT_EQ(pread(fd, page, sizeof(page), 8192), 0);
  close(fd);
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, ForgettingNamesMakesTheKernelAskAgain) {
  const InodeId directory = file_system_.AddDirectory(kRootInode, "directory");
  file_system_.AddFile(directory, "file", "contents");
  file_system_.SetValidFor(std::chrono::hours(1));
  MountAndServe();
  if (!session_->facts().can_forget_names) GTEST_SKIP() << "the kernel cannot";
  const std::string path = At("directory/file");
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(file_system_.lookup_count(), 2u);
  const int fd = open(path.c_str(), O_RDONLY);
  const int directory_fd = open(At("directory").c_str(), O_RDONLY | O_DIRECTORY);

  const Result<> forgotten = session_->ForgetNames();
  ASSERT_TRUE(forgotten) << forgotten.error().detail;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(file_system_.lookup_count(), 4u);
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(file_system_.lookup_count(), 4u);

  // What is open stays where it is.
  char bytes[8];
  EXPECT_EQ(pread(fd, bytes, sizeof(bytes), 0), 8);
  EXPECT_EQ(fstatat(directory_fd, "file", &status, 0), 0);
  char link[PATH_MAX] = {};
  const std::string self = "/proc/self/fd/" + std::to_string(directory_fd);
  EXPECT_GT(readlink(self.c_str(), link, sizeof(link) - 1), 0);
  EXPECT_EQ(std::string(link), At("directory"));
  close(fd);
  close(directory_fd);
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, AttributesAreThoseOfAReadOnlyMountOfRoot) {
  file_system_.AddFile(kRootInode, "file", std::string(1000, 'x'));
  file_system_.AddDirectory(kRootInode, "directory");
  MountAndServe();
  struct stat status;
  ASSERT_EQ(stat(At("file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, mode_t{S_IFREG | 0644});
  EXPECT_EQ(status.st_size, 1000);
  EXPECT_EQ(status.st_blocks, 2);
  EXPECT_EQ(status.st_blksize, static_cast<blksize_t>(kMiB));
  EXPECT_EQ(status.st_mtime, 1'700'000'000);
  EXPECT_EQ(status.st_uid, 0u);
  ASSERT_EQ(stat(At("directory").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, mode_t{S_IFDIR | 0755});
  struct statvfs usage;
  ASSERT_EQ(statvfs(path_.c_str(), &usage), 0);
  EXPECT_EQ(usage.f_blocks * usage.f_frsize, 1u << 30);
  EXPECT_EQ((usage.f_blocks - usage.f_bfree) * usage.f_frsize, 1u << 20);
  EXPECT_EQ(usage.f_files, 1u << 20);
  EXPECT_EQ(usage.f_files - usage.f_ffree, 3u);  // the root, file and directory
  EXPECT_NE(usage.f_flag & ST_RDONLY, 0u);
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, WhatADirectoryHoldsIsListedWholeWithAndWithoutAttributes) {
  std::set<std::string> expected = {".", ".."};
  for (int i = 0; i < 5000; ++i) {
    const std::string name = "name of file number " + std::to_string(i);
    file_system_.AddFile(kRootInode, name, "x");
    expected.insert(name);
  }
  const std::string longest(1023, 'n');
  file_system_.AddFile(kRootInode, longest, "x");
  file_system_.AddFile(kRootInode, std::string(1024, 'n'), "left out, not an error");
  MountAndServe();
  for (const bool with_stat : {false, true}) {
    std::set<std::string> listed;
    size_t count = 0;
    DIR* const directory = opendir(path_.c_str());
    ASSERT_NE(directory, nullptr);
    errno = 0;
    while (const dirent* entry = readdir(directory)) {
      // readdir(3) has room for names of any length in its record.
      listed.insert(static_cast<const char*>(entry->d_name));
      ++count;
      struct stat status;
      if (with_stat && count % 2 == 0) {
        EXPECT_EQ(fstatat(dirfd(directory), static_cast<const char*>(entry->d_name), &status,
                          AT_SYMLINK_NOFOLLOW),
                  0);
      }
      errno = 0;
    }
    EXPECT_EQ(errno, 0);
    closedir(directory);
    std::set<std::string> with_longest = expected;
    with_longest.insert(longest);
    EXPECT_EQ(count, with_longest.size());
    EXPECT_TRUE(listed == with_longest);
  }
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, WritesAreRefusedWithTheRightErrno) {
  file_system_.AddFile(kRootInode, "file", "x");
  MountAndServe();
  const std::string file = At("file");
  EXPECT_EQ(ErrnoOf([&] { return open(file.c_str(), O_WRONLY); }), EROFS);
  EXPECT_EQ(ErrnoOf([&] { return open(At("new").c_str(), O_CREAT | O_RDWR, 0644); }), EROFS);
  EXPECT_EQ(ErrnoOf([&] { return mkdir(At("new").c_str(), 0755); }), EROFS);
  EXPECT_EQ(ErrnoOf([&] { return unlink(file.c_str()); }), EROFS);
  EXPECT_EQ(ErrnoOf([&] { return rename(file.c_str(), At("b").c_str()); }), EROFS);
  EXPECT_EQ(ErrnoOf([&] { return truncate(file.c_str(), 0); }), EROFS);
  EXPECT_EQ(ErrnoOf([&] { return chmod(file.c_str(), 0600); }), EROFS);
  EXPECT_EQ(ErrnoOf([&] { return setxattr(file.c_str(), "user.a", "b", 1, 0); }), EROFS);
  char value[10];
  EXPECT_EQ(ErrnoOf([&] {
              return static_cast<int>(getxattr(file.c_str(), "user.a", value, sizeof(value)));
            }),
            EOPNOTSUPP);
  EXPECT_EQ(ErrnoOf([&] { return static_cast<int>(readlink(file.c_str(), value, 10)); }), EINVAL);
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, SixtyFourReadersAtOnceEachGetTheirOwnBytes) {
  std::vector<std::string> contents;
  for (uint64_t i = 0; i < 64; ++i) {
    contents.push_back(Pattern(300'000 + i * 1000, i));
    file_system_.AddFile(kRootInode, "file " + std::to_string(i), contents.back());
  }
  file_system_.SetNamesKnown(false);  // lookups go through the pool
  MountAndServe();
  std::atomic<int> wrong_count{0};
  std::vector<std::thread> readers;
  for (size_t i = 0; i < contents.size(); ++i)
    readers.emplace_back([&, i] {
      const std::string path = At("file " + std::to_string(i));
      for (const size_t step : {size_t{4096}, size_t{65536}, size_t{kMiB}})
        for (const int flags : {O_DIRECT, 0})
          if (Slurp(path, step, flags) != contents[i]) ++wrong_count;
    });
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong_count, 0);
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, TwoHundredReadsThatWaitDoNotHoldUpAnythingElse) {
  const std::string slow = Pattern(200 * 4096, 7);
  file_system_.AddFile(kRootInode, "slow", slow);
  file_system_.AddFile(kRootInode, "other", "x");
  MountAndServe();
  file_system_.ParkReads();
  std::vector<std::thread> readers;
  std::atomic<int> wrong_count{0};
  for (size_t i = 0; i < 200; ++i)
    readers.emplace_back([&, i] {
      alignas(4096) char page[4096];
      const int fd = open(At("slow").c_str(), O_RDONLY | O_DIRECT);
      const auto offset = static_cast<off_t>(i * 4096);
      if (pread(fd, page, sizeof(page), offset) != 4096 ||
          std::string_view(page, 4096) != std::string_view(slow).substr(i * 4096, 4096))
        ++wrong_count;
      close(fd);
    });
  file_system_.WaitUntilParked(200);

  struct stat status;
  EXPECT_EQ(stat(At("other").c_str(), &status), 0);
  struct statvfs usage;
  EXPECT_EQ(statvfs(path_.c_str(), &usage), 0);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_))
    names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"other", "slow"}));

  file_system_.ReleaseReads();
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong_count, 0);
  UnmountAndExpectEnd();
}

uint64_t ResidentBytes() {
  uint64_t size_pages = 0;
  uint64_t resident_pages = 0;
  std::ifstream("/proc/self/statm") >> size_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST_P(SessionTest, ManyLargeAnswersAtOnceAreRightAndDoNotStayInMemory) {
  constexpr size_t kCount = 160;
  const std::string contents = Pattern(kCount * kMiB, 17);
  file_system_.AddFile(kRootInode, "file", contents);
  MountAndServe();
  [[maybe_unused]] const uint64_t before_bytes = ResidentBytes();
  for (int round = 0; round < 2; ++round) {
    file_system_.ParkReads();
    std::atomic<size_t> right_count{0};
    std::vector<std::thread> readers;
    for (size_t i = 0; i < kCount; ++i)
      readers.emplace_back([&, i] {
        void* const buffer =
            mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        const int fd = open(At("file").c_str(), O_RDONLY | O_DIRECT);
        const ssize_t length = pread(fd, buffer, kMiB, static_cast<off_t>(i * kMiB));
        if (length == static_cast<ssize_t>(kMiB) &&
            std::memcmp(buffer, contents.data() + i * kMiB, kMiB) == 0)
          ++right_count;
        close(fd);
        munmap(buffer, kMiB);
      });
    file_system_.WaitUntilParked(kCount);
    file_system_.ReleaseReads();
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(right_count, kCount);
  }
#if !defined(__SANITIZE_THREAD__)  // which keeps four bytes for each that was ever touched
  // What the session may keep is 64 MiB and the small start of each answer. The rest it lets go
  // of once the kernel has the answers.
  EXPECT_TRUE(Eventually([&] { return ResidentBytes() < before_bytes + 110 * kMiB; }));
#endif
  UnmountAndExpectEnd();
}

// Runs `call` on a thread, sends it `signal` when `ready` returns, and gives its errno.
int ErrnoWhenSignalled(
    int signal, const std::function<int()>& call, const std::function<void()>& ready,
    const std::function<void()>& afterwards = [] {}) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
  int error = 0;
  std::thread caller([&] { error = ErrnoOf(call); });
  ready();
  pthread_kill(caller.native_handle(), signal);
  afterwards();
  caller.join();
  return error;
}

TEST_P(SessionTest, ASignalEndsALookupThatWaitsAndItsReferenceIsGivenBack) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "x");
  MountAndServe();
  file_system_.lookup_gate.Close();
  struct stat status;
  EXPECT_EQ(ErrnoWhenSignalled(
                SIGUSR1, [&] { return stat(At("file").c_str(), &status); },
                [&] { file_system_.lookup_gate.WaitUntilWaiting(1); }),
            EINTR);
  file_system_.lookup_gate.Open();
  UnmountAndExpectEnd();
  EXPECT_EQ(file_system_.remembered_count(inode), 0u);
}

TEST_P(SessionTest, ASignalEndsAnOpenThatWaitsAndItsHandleIsReleased) {
  file_system_.AddFile(kRootInode, "file", "x");
  MountAndServe();
  file_system_.open_gate.Close();
  EXPECT_EQ(ErrnoWhenSignalled(
                SIGUSR1, [&] { return open(At("file").c_str(), O_RDONLY); },
                [&] { file_system_.open_gate.WaitUntilWaiting(1); }),
            EINTR);
  file_system_.open_gate.Open();
  UnmountAndExpectEnd();  // which looks at the handles
}

TEST_P(SessionTest, ATimersSignalDoesNotEndAnOpenThatWaits) {
  file_system_.AddFile(kRootInode, "file", "x");
  MountAndServe();
  file_system_.open_gate.Close();
  EXPECT_EQ(ErrnoWhenSignalled(
                SIGALRM,
                [&] {
                  const int fd = open(At("file").c_str(), O_RDONLY);
                  return fd < 0 ? fd : close(fd);
                },
                [&] { file_system_.open_gate.WaitUntilWaiting(1); },
                [&] {
                  struct statvfs usage;
                  EXPECT_EQ(statvfs(path_.c_str(), &usage),
                            0);  // the kernel sends interrupts first
                  file_system_.open_gate.Open();
                }),
            0);
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, AProgramWhoseReadWaitsEndsAtCtrlC) {
  file_system_.AddFile(kRootInode, "file", Pattern(8192, 3));
  MountAndServe();
  file_system_.ParkReads();
  const std::string path = At("file");
  const char* const arguments[] = {"cat", path.c_str(), nullptr};
  pid_t cat = 0;
  ASSERT_EQ(posix_spawn(&cat, "/bin/cat", nullptr, nullptr, const_cast<char**>(arguments), environ),
            0);
  file_system_.WaitUntilParked(1);
  kill(cat, SIGINT);
  int status = 0;
  ASSERT_EQ(waitpid(cat, &status, 0), cat);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
  file_system_.ReleaseReads();
  EXPECT_TRUE(Slurp(path, 4096) == Pattern(8192, 3));
  UnmountAndExpectEnd();
}

// Whether this process has a thread called `name`.
bool HasThread(const std::string& name) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string found;
    try {
      std::ifstream(task.path() / "comm") >> found;
    } catch (const std::exception&) {  // it ended while it was looked at
    }
    if (found == name) return true;
  }
  return false;
}

TEST_P(SessionTest, AProgramWhoseLookupOutlastedATimersSignalCanStillBeKilled) {
  file_system_.AddFile(kRootInode, "file", "x");
  file_system_.SetNamesKnown(false);
  MountAndServe();
  file_system_.lookup_gate.Close();
  const std::string script = "trap : ALRM; test -e " + At("file");
  const char* const arguments[] = {"sh", "-c", script.c_str(), nullptr};
  pid_t shell = 0;
  ASSERT_EQ(
      posix_spawn(&shell, "/bin/sh", nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
  file_system_.lookup_gate.WaitUntilWaiting(1);
  const int shell_fd = static_cast<int>(syscall(SYS_pidfd_open, shell, 0));
  ASSERT_GE(shell_fd, 0);

  kill(shell, SIGALRM);
  // The thread that looks for later signals comes when the first was found to be no reason; over
  // rings it is there before.
  const Deadline deadline = Deadline::After(clock_, std::chrono::seconds(20));
  while (!HasThread("fuse-interrupt") && !deadline.Passed(clock_)) std::this_thread::yield();
  EXPECT_TRUE(HasThread("fuse-interrupt"));
  kill(shell, SIGKILL);
  pollfd ended{.fd = shell_fd, .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&ended, 1, 20'000), 1) << "it still waits";
  close(shell_fd);

  file_system_.lookup_gate.Open();
  int status = 0;
  ASSERT_EQ(waitpid(shell, &status, 0), shell);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, AChangedFileIsLookedUpAgainByTheKernelAndOpens) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "contents");
  MountAndServe();
  file_system_.ChangeOnce(inode);
  EXPECT_EQ(Slurp(At("file"), 4096), "contents");
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, AFailedReadTellsItsErrno) {
  file_system_.AddFile(kRootInode, "file", "contents");
  MountAndServe();
  file_system_.FailReads({Errc::kDenied, "GetObject file: 403 AccessDenied"});
  EXPECT_EQ(Slurp(At("file"), 4096), "<read: Permission denied>");
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, ASecondSessionAttachesToTheMountOfTheFirst) {
  const std::string contents = Pattern(3 * kMiB, 9);
  file_system_.AddFile(kRootInode, "file", contents);
  MountAndServe();
  EXPECT_TRUE(Slurp(At("file"), kMiB, O_DIRECT) == contents);
  const int fd = open(At("file").c_str(), O_RDONLY | O_DIRECT);
  ASSERT_GE(fd, 0);
  std::vector<std::byte> saved = session_->init_message();
  session_->Stop();
  ExpectServeEnds();

  // Asked while nobody serves: answered by the session that comes.
  std::thread waiting([&] {
    alignas(4096) char page[4096];
    EXPECT_EQ(pread(fd, page, sizeof(page), 8192), 4096) << std::strerror(errno);
    EXPECT_TRUE(std::string_view(page, 4096) == std::string_view(contents).substr(8192, 4096));
  });
  Serve(std::move(saved));
  waiting.join();
  EXPECT_EQ(session_->facts().io_uring, GetParam() == "io_uring");
  EXPECT_EQ(session_->facts().request_bytes, kMiB);
  close(fd);
  EXPECT_TRUE(Slurp(At("file"), kMiB, O_DIRECT) == contents);
  UnmountAndExpectEnd(/*lazy=*/true);  // the session itself may still ask for a statfs
}

TEST_P(SessionTest, ALazyUnmountEndsServeWhenTheLastFileIsClosed) {
  const std::string contents = Pattern(100'000, 11);
  file_system_.AddFile(kRootInode, "file", contents);
  MountAndServe();
  const int fd = open(At("file").c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(ErrnoOf([&] { return umount(path_.c_str()); }), EBUSY);
  ASSERT_TRUE(Unmount(path_, /*lazy=*/true));
  std::string back(contents.size(), '\0');
  EXPECT_EQ(read(fd, back.data(), back.size()), static_cast<ssize_t>(contents.size()));
  EXPECT_TRUE(back == contents);
  close(fd);
  ExpectServeEnds();
}

TEST_P(SessionTest, FusermountEndsServe) {
  if (access("/usr/bin/fusermount3", X_OK) != 0) GTEST_SKIP() << "there is no fusermount3";
  MountAndServe();
  ASSERT_EQ(std::system(("/usr/bin/fusermount3 -u " + path_).c_str()), 0);
  ExpectServeEnds();
}

TEST_P(SessionTest, StopAnswersWhatIsUnderWay) {
  const std::string contents = Pattern(4096, 13);
  file_system_.AddFile(kRootInode, "file", contents);
  MountAndServe();
  const int fd = open(At("file").c_str(), O_RDONLY | O_DIRECT);
  ASSERT_GE(fd, 0);
  file_system_.ParkReads();
  std::thread reader([&] {
    alignas(4096) char page[4096];
    EXPECT_EQ(pread(fd, page, sizeof(page), 0), 4096) << std::strerror(errno);
    EXPECT_TRUE(std::string_view(page, 4096) == contents);
  });
  file_system_.WaitUntilParked(1);
  const std::vector<std::byte> saved = session_->init_message();
  session_->Stop();
  file_system_.ReleaseReads();
  reader.join();
  ExpectServeEnds();
  Serve(saved);
  close(fd);
  UnmountAndExpectEnd(/*lazy=*/true);
}

TEST_P(SessionTest, AMountOfOursIsNotMountedOver) {
  MountAndServe();
  const Result<int> second =
      Mount({.source = "x:/", .subtype = "shoaltest", .mount_point = path_ + "/", .flags = 0});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kBusy);
  EXPECT_THAT(second.error().detail, testing::HasSubstr("bucket.example:/a b"));
  UnmountAndExpectEnd();
}

TEST_P(SessionTest, AMountWhoseDaemonWasKilledIsReplaced) {
  for (int i = 0; i < 2; ++i) {  // two, one on the other
    const std::string options = "rootmode=40000,user_id=0,group_id=0,fd=";
    const int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    ASSERT_EQ(
        mount("dead:/", path_.c_str(), "fuse.shoaltest", 0, (options + std::to_string(fd)).c_str()),
        0);
    close(fd);
  }
  file_system_.AddFile(kRootInode, "file", "alive");
  MountAndServe();
  EXPECT_EQ(Slurp(At("file"), 4096), "alive");
  const auto mounts = MountsAt(path_);
  ASSERT_TRUE(mounts);
  ASSERT_EQ(mounts->size(), 1u);
  EXPECT_EQ(mounts->front().source, "bucket.example:/a b");
  EXPECT_EQ(mounts->front().type, "fuse.shoaltest");
  UnmountAndExpectEnd();
}

}  // namespace
}  // namespace shoal
