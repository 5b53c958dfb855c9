// Files that the kernel reads by itself, on a real /dev/fuse. Where a test needs to know how a
// file was opened, the cache's file differs from what FileSystem answers: then the bytes tell.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "fs/shared_hand_over.h"
#include "fuse/kernel_abi.h"
#include "testing/mounted_session.h"
#include "testing/temporary_file.h"

namespace shoal {
namespace {

class PassthroughTest : public MountedSessionTest {
 protected:
  void MountWithPassthrough() {
    MountAndServe();
    if (HasFatalFailure()) return;
    const SessionFacts facts = session_->facts();
    if (!facts.passthrough) GTEST_SKIP() << facts.passthrough_why_not;
  }
  [[nodiscard]] static std::shared_ptr<const WholeFile> InMemory(const std::string& contents) {
    return std::make_shared<TemporaryFile>(contents);
  }
  // What a new open of "file" reads.
  [[nodiscard]] std::string ReadFile() const { return Slurp(At("file"), 64 * kKiB); }
};

INSTANTIATE_TEST_SUITE_P(Transports, PassthroughTest, testing::Values("dev", "io_uring"),
                         [](const auto& test) { return test.param; });

// What an open file holds, by pread or through a mapping.
std::string Read(int fd, size_t size_bytes) {
  std::string out(size_bytes + 1, '\0');
  const ssize_t length = pread(fd, out.data(), out.size(), 0);
  if (length < 0) return "<read: " + std::string(std::strerror(errno)) + ">";
  out.resize(static_cast<size_t>(length));
  return out;
}
std::string ReadMapped(int fd, size_t size_bytes) {
  void* const memory = mmap(nullptr, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return "<mmap: " + std::string(std::strerror(errno)) + ">";
  std::string out(static_cast<const char*>(memory), size_bytes);
  munmap(memory, size_bytes);
  return out;
}

TEST_P(PassthroughTest, AWholeFileIsReadAndMappedWithoutUs) {
  const std::string contents = Pattern(3 * kMiB + 4321, 1);
  const InodeId inode = file_system_.AddFile(kRootInode, "file", contents);
  MountWithPassthrough();
  if (IsSkipped()) return;
  for (const std::string directory : {"", "/var/tmp"})
    for (const bool opens_known : {false, true}) {
      file_system_.SetWhole(inode, std::make_shared<TemporaryFile>(contents, directory));
      file_system_.SetOpensKnown(opens_known);
      EXPECT_TRUE(Slurp(At("file"), 7777) == contents);
      EXPECT_TRUE(Slurp(At("file"), kMiB) == contents);
      const int fd = open(At("file").c_str(), O_RDONLY);
      ASSERT_GE(fd, 0);
      EXPECT_TRUE(ReadMapped(fd, contents.size()) == contents);
      close(fd);
      file_system_.WaitUntilAllReleased();
    }
  EXPECT_EQ(file_system_.read_count(), 0u);
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, WhileAFileIsOpenCachedItIsSoForAllAndNoLonger) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  MountWithPassthrough();
  if (IsSkipped()) return;
  const int first = open(At("file").c_str(), O_RDONLY);
  file_system_.SetWhole(inode, InMemory("passed"));
  const int second = open(At("file").c_str(), O_RDONLY);
  EXPECT_EQ(Read(second, 6), "cached");
  close(second);
  EXPECT_EQ(ReadMapped(first, 6), "cached");
  EXPECT_EQ(ReadFile(), "cached");
  close(first);
  file_system_.WaitUntilAllReleased();
  EXPECT_EQ(ReadFile(), "passed");
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, WhileAFileIsPassedThroughItIsSoForAllAndFromTheSameFile) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  file_system_.SetWhole(inode, InMemory("passed"));
  MountWithPassthrough();
  if (IsSkipped()) return;
  const int first = open(At("file").c_str(), O_RDONLY);
  file_system_.SetWhole(inode, nullptr);
  EXPECT_EQ(ReadFile(), "passed");
  file_system_.SetWhole(inode, InMemory("second"));
  EXPECT_EQ(ReadFile(), "passed");
  EXPECT_EQ(Slurp(At("file"), 4096, O_DIRECT), "passed");

  close(first);
  file_system_.WaitUntilAllReleased();
  EXPECT_EQ(ReadFile(), "second");
  file_system_.WaitUntilAllReleased();
  file_system_.SetWhole(inode, nullptr);
  EXPECT_EQ(ReadFile(), "cached");
  UnmountAndExpectEnd();
}

// It holds the cache's file, not ours: the kernel sends RELEASE at the close.
TEST_P(PassthroughTest, AMappingReadsOnWhenItsFileWasClosedAndTheInodeHasAnotherMode) {
  const std::string passed = Pattern(300'000, 5);
  const InodeId inode = file_system_.AddFile(kRootInode, "file", Pattern(300'000, 6));
  file_system_.SetWhole(inode, InMemory(passed));
  MountWithPassthrough();
  if (IsSkipped()) return;
  const int fd = open(At("file").c_str(), O_RDONLY);
  void* const memory = mmap(nullptr, passed.size(), PROT_READ, MAP_PRIVATE, fd, 0);
  ASSERT_NE(memory, MAP_FAILED);
  close(fd);
  file_system_.WaitUntilAllReleased();
  file_system_.SetWhole(inode, nullptr);
  EXPECT_TRUE(ReadFile() == Pattern(300'000, 6));
  EXPECT_TRUE(std::string_view(static_cast<const char*>(memory), passed.size()) == passed);
  munmap(memory, passed.size());
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, AFileIsLetGoWhenItWasClosed) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  auto whole = InMemory("passed");
  const std::weak_ptr<const WholeFile> watched = whole;
  file_system_.SetWhole(inode, std::move(whole));
  MountWithPassthrough();
  if (IsSkipped()) return;
  const int fd = open(At("file").c_str(), O_RDONLY);
  file_system_.SetWhole(inode, nullptr);
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(Read(fd, 6), "passed");
  close(fd);
  file_system_.WaitUntilAllReleased();
  EXPECT_TRUE(watched.expired());
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, WhatWasCachedBeforeIsNotReadAgainstTheFile) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  MountWithPassthrough();
  if (IsSkipped()) return;
  EXPECT_EQ(ReadFile(), "cached");
  file_system_.WaitUntilAllReleased();
  file_system_.SetWhole(inode, InMemory("passed"));
  EXPECT_EQ(ReadFile(), "passed");
  file_system_.WaitUntilAllReleased();
  file_system_.SetWhole(inode, nullptr);
  EXPECT_EQ(ReadFile(), "cached");
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, DirectReadsNeedNotBeAlignedAndAreServedByUsWhereTheDiskWantsIt) {
  const std::string contents = Pattern(10'000, 2);
  const InodeId inode = file_system_.AddFile(kRootInode, "file", contents);
  MountWithPassthrough();
  if (IsSkipped()) return;
  file_system_.SetWhole(inode, InMemory(contents));
  EXPECT_TRUE(Slurp(At("file"), 777, O_DIRECT) == contents);
  EXPECT_EQ(file_system_.read_count(), 0u);
  file_system_.WaitUntilAllReleased();
  file_system_.SetWhole(inode, std::make_shared<TemporaryFile>(contents, "/var/tmp"));
  EXPECT_TRUE(Slurp(At("file"), 777, O_DIRECT) == contents);
  EXPECT_GT(file_system_.read_count(), 0u);
  UnmountAndExpectEnd();
}

// Stops whoever is about to name it to the kernel.
class GatedFile final : public WholeFile {
 public:
  GatedFile(const std::string& contents, Gate& gate) : file_(contents), gate_(gate) {}
  [[nodiscard]] int fd() const override {
    gate_.Pass();
    return file_.fd();
  }

 private:
  const TemporaryFile file_;
  Gate& gate_;
};

TEST_P(PassthroughTest, AnOpenThatIsOvertakenFollowsTheOneThatOvertookIt) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  MountWithPassthrough();
  if (IsSkipped()) return;
  Gate gate;
  for (const std::string overtaking : {"cached", "second"}) {
    gate.Close();
    file_system_.SetWhole(inode, std::make_shared<GatedFile>("passed", gate));
    std::string read;
    std::thread overtaken([&] { read = ReadFile(); });
    gate.WaitUntilWaiting(1);
    file_system_.SetWhole(inode, overtaking == "cached" ? nullptr : InMemory(overtaking));
    const int fd = open(At("file").c_str(), O_RDONLY);
    gate.Open();
    overtaken.join();
    EXPECT_EQ(Read(fd, 6), overtaking);
    EXPECT_EQ(read, overtaking);
    close(fd);
    file_system_.WaitUntilAllReleased();
  }
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, NoOpenOrReadFailsWhileFilesBecomeWholeAndCeaseToBe) {
  constexpr size_t kThreadCount = 64;
  constexpr int kRoundCount = 100;
  constexpr size_t kFileCount = 3;
  std::vector<std::string> contents;
  std::vector<InodeId> inodes;
  std::vector<std::string> paths;
  for (size_t i = 0; i < kFileCount; ++i) {
    contents.push_back(Pattern(40'000 + i * 1000, i));
    inodes.push_back(file_system_.AddFile(kRootInode, std::to_string(i), contents[i]));
    paths.push_back(At(std::to_string(i)));
  }
  MountWithPassthrough();
  if (IsSkipped()) return;
  std::atomic<int> wrong_count{0};
  const auto check = [&](size_t file, const std::string& found) {
    if (found == contents[file]) return;
    if (wrong_count++ == 0) ADD_FAILURE() << found.substr(0, 100);
  };
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < kThreadCount; ++thread)
    threads.emplace_back([&, thread] {
      std::mt19937 random(static_cast<unsigned>(thread));
      for (int round = 0; round < kRoundCount; ++round) {
        const size_t file = random() % kFileCount;
        if (random() % 4 == 0) file_system_.SetWhole(inodes[file], nullptr);
        if (random() % 4 == 0) file_system_.SetWhole(inodes[file], InMemory(contents[file]));
        if (random() % 4 == 0) file_system_.SetOpensKnown(random() % 2 == 0);
        if (random() % 4 == 0) file_system_.SetReadsAtHand(random() % 2 == 0);
        const int fd = open(paths[file].c_str(), O_RDONLY);
        if (fd < 0) check(file, std::string("<open: ") + std::strerror(errno) + ">");
        if (fd < 0) continue;
        if (random() % 4 == 0) check(file, Slurp(paths[file], 8192));
        check(file, random() % 4 == 0 ? ReadMapped(fd, contents[file].size())
                                      : Read(fd, contents[file].size()));
        close(fd);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong_count, 0);

  // And the account is even: both modes can be entered again.
  file_system_.WaitUntilAllReleased();
  for (size_t file = 0; file < kFileCount; ++file) {
    file_system_.SetWhole(inodes[file], InMemory("passed"));
    EXPECT_EQ(Slurp(paths[file], 4096), "passed");
    file_system_.WaitUntilAllReleased();
    file_system_.SetWhole(inodes[file], nullptr);
    EXPECT_TRUE(Slurp(paths[file], 4096) == contents[file]);
  }
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, WhereItIsOffFilesAreServedByUs) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  file_system_.SetWhole(inode, InMemory("passed"));
  options_.passthrough = "off";
  MountAndServe();
  EXPECT_FALSE(session_->facts().passthrough);
  EXPECT_EQ(session_->facts().passthrough_why_not, "passthrough=off");
  EXPECT_EQ(ReadFile(), "cached");
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, AFileOfAStackedFileSystemIsServedByUsAndThatIsSaid) {
  const InodeId stacked = file_system_.AddFile(kRootInode, "stacked", "cached");
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  MountWithPassthrough();
  if (IsSkipped()) return;
  char layers[] = "/tmp/shoal-layers-XXXXXX";
  ASSERT_NE(mkdtemp(layers), nullptr);
  const std::string base = layers;
  for (const char* layer : {"/upper", "/lower", "/work", "/merged"})
    ASSERT_EQ(mkdir((base + layer).c_str(), 0700), 0);
  const std::string options =
      "upperdir=" + base + "/upper,lowerdir=" + base + "/lower,workdir=" + base + "/work";
  if (mount("overlay", (base + "/merged").c_str(), "overlay", 0, options.c_str()) == 0) {
    file_system_.SetWhole(stacked, std::make_shared<TemporaryFile>("passed", base + "/merged"));
    file_system_.SetWhole(inode, InMemory("passed"));
    EXPECT_EQ(Slurp(At("stacked"), 4096), "cached");
    EXPECT_EQ(ReadFile(), "passed") << "the others are as before";
    EXPECT_TRUE(session_->facts().passthrough);
    EXPECT_THAT(session_->facts().passthrough_why_not, testing::HasSubstr("stacked"));
    file_system_.SetWhole(stacked, nullptr);
    EXPECT_EQ(umount((base + "/merged").c_str()), 0) << std::strerror(errno);
  }
  std::filesystem::remove_all(base);
  UnmountAndExpectEnd();
}

TEST_P(PassthroughTest, WithoutTheCapabilityFilesAreServedByUsAndThatIsSaid) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  file_system_.SetWhole(inode, InMemory("passed"));
  MountAndServe();
  std::vector<std::byte> saved = session_->init_message();
  session_->Stop();
  ExpectServeEnds();
  std::thread([&] {  // a thread of its own, since it has the capability no more
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_SYS_ADMIN);
    ASSERT_EQ(syscall(SYS_capset, &header, data), 0);
    Serve(std::move(saved));
  })
      .join();
  EXPECT_FALSE(session_->facts().passthrough);
  EXPECT_THAT(session_->facts().passthrough_why_not, testing::HasSubstr("CAP_SYS_ADMIN"));
  EXPECT_EQ(ReadFile(), "cached");
  UnmountAndExpectEnd(/*lazy=*/true);
}

TEST_P(PassthroughTest, AFileReadsOnWhenItsSessionHasGoneAndTheNextPassesThroughAgain) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  file_system_.SetWhole(inode, InMemory("passed"));
  MountWithPassthrough();
  if (IsSkipped()) return;
  const int fd = open(At("file").c_str(), O_RDONLY);
  std::vector<std::byte> saved = session_->init_message();
  session_->Stop();
  ExpectServeEnds();
  EXPECT_EQ(Read(fd, 6), "passed") << "with nobody there";
  Serve(std::move(saved));
  EXPECT_TRUE(session_->facts().passthrough);
  EXPECT_EQ(Read(fd, 6), "passed");
  close(fd);
  file_system_.WaitUntilAllReleased();
  EXPECT_EQ(ReadFile(), "passed");
  UnmountAndExpectEnd(/*lazy=*/true);
}

// What the kernel counts: an id that is in use, and one that is not.
TEST_P(PassthroughTest, WhatAProcessThatDiedHadRegisteredIsUsedOnOrLetGo) {
  std::vector<uint64_t> memory(64 * kKiB);
  const auto bytes = std::as_writable_bytes(std::span(memory));
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  file_system_.SetWhole(inode, InMemory("passed"));
  MountWithPassthrough();
  if (IsSkipped()) return;
  std::vector<std::byte> saved = session_->init_message();
  session_->Stop();
  ExpectServeEnds();

  // The one that dies. After its last word the kernel gives it two more ids.
  const auto register_file = [&] {
    const TemporaryFile file("nobody's");
    BackingMap map{file.fd(), 0, 0};
    return ioctl(device_fd_, kBackingOpen, &map);
  };
  const int fd = [&] {
    const auto dying = *SharedHandOver::Attach(bytes);
    Serve(saved, *dying);
    const int opened = open(At("file").c_str(), O_RDONLY);
    session_->Stop();
    ExpectServeEnds();
    return opened;
  }();
  const int lost[] = {register_file(), register_file()};
  ASSERT_GT(lost[0], 0);

  const auto next = *SharedHandOver::Attach(bytes);
  Serve(saved, *next);
  file_system_.SetWhole(inode, InMemory("second"));
  EXPECT_EQ(ReadFile(), "passed") << "as it is open";
  EXPECT_EQ(Read(fd, 6), "passed");
  for (const int id : lost) {
    auto number = static_cast<uint32_t>(id);
    EXPECT_EQ(ioctl(device_fd_, kBackingClose, &number), -1);
    EXPECT_EQ(errno, ENOENT) << "it was let go";
  }
  close(fd);
  file_system_.WaitUntilAllReleased();
  EXPECT_EQ(ReadFile(), "second") << "no mode of the first outlives its last close";
  file_system_.WaitUntilAllReleased();
  int left_count = 0;
  next->VisitLeft(HandOverRecord::Kind::kBackingFile, [&](auto, const auto&) { ++left_count; });
  EXPECT_EQ(left_count, 0);
  UnmountAndExpectEnd(/*lazy=*/true);
}

TEST_P(PassthroughTest, WithPassthroughSwitchedOffWhatIsOpenSoStaysSo) {
  const InodeId inode = file_system_.AddFile(kRootInode, "file", "cached");
  file_system_.SetWhole(inode, InMemory("passed"));
  MountWithPassthrough();
  if (IsSkipped()) return;
  const int fd = open(At("file").c_str(), O_RDONLY);
  std::vector<std::byte> saved = session_->init_message();
  session_->Stop();
  ExpectServeEnds();
  options_.passthrough = "off";
  Serve(std::move(saved));
  EXPECT_EQ(ReadFile(), "passed");
  close(fd);
  file_system_.WaitUntilAllReleased();
  EXPECT_EQ(ReadFile(), "cached");
  UnmountAndExpectEnd(/*lazy=*/true);
}

TEST_P(PassthroughTest, AMountMadeWithoutHasNoneInALaterSession) {
  options_.passthrough = "off";
  MountAndServe();
  std::vector<std::byte> saved = session_->init_message();
  session_->Stop();
  ExpectServeEnds();
  options_.passthrough = "auto";
  Serve(std::move(saved));
  EXPECT_FALSE(session_->facts().passthrough);
  UnmountAndExpectEnd(/*lazy=*/true);
}

}  // namespace
}  // namespace shoal
