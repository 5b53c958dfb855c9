// Interrupts and other messages in orders that a real kernel seldom sends them in.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fuse/kernel_abi.h"
#include "fuse/session.h"
#include "testing/adjustable_clock.h"
#include "testing/fake_kernel.h"
#include "testing/memory_file_system.h"

namespace shoal {
namespace {

class MessageTest : public testing::Test {
 protected:
  void SetUp() override {
    file_ = file_system_.AddFile(kRootInode, "file", "contents");
    options_.transport = "dev";
    Serve({});
    EXPECT_EQ(kernel_.Receive().unique, 1u);
  }
  void TearDown() override {
    file_system_.lookup_gate.Open();
    file_system_.attributes_gate.Open();
    file_system_.ReleaseReads();
    kernel_.Unmount();
    if (outcome_.valid()) {
      EXPECT_TRUE(outcome_.get());
    }
    EXPECT_EQ(file_system_.open_handle_count(), open_count_);
  }

  void Serve(std::vector<std::byte> saved) {
    if (saved.empty()) kernel_.SendInit(kNotifyResendMinor);
    auto session = StartSession(file_system_,
                                {.device_fd = kernel_.device_fd(), .saved_init = std::move(saved)},
                                "", options_, clock_, hand_over_);
    ASSERT_TRUE(session) << session.error().detail;
    session_ = *std::move(session);
    outcome_ = std::async(std::launch::async, [this] { return session_->Serve(); });
  }
  // Another process takes this one's place.
  void Attach() {
    const std::vector<std::byte> saved = session_->init_message();
    session_->Stop();
    EXPECT_TRUE(outcome_.get());
    Serve(saved);
    EXPECT_EQ(kernel_.Receive(), (FakeKernel::Answer{0, kNotifyResend, ""}));
  }
  uint64_t Open() {
    ++open_count_;
    kernel_.Send(FUSE_OPEN, 100, file_, FakeKernel::BytesOf(fuse_open_in{}));
    const FakeKernel::Answer answer = kernel_.Receive();
    EXPECT_EQ(answer.error, 0);
    fuse_open_out out{};
    std::memcpy(&out, answer.body.data(), sizeof(out));
    EXPECT_EQ(out.open_flags & FOPEN_KEEP_CACHE, unsigned{FOPEN_KEEP_CACHE});
    return out.fh;
  }
  void Release(uint64_t handle, uint64_t unique) {
    fuse_release_in release{};
    release.fh = handle;
    kernel_.Send(FUSE_RELEASE, unique, file_, FakeKernel::BytesOf(release));
    EXPECT_EQ(kernel_.Receive(), (FakeKernel::Answer{unique, 0, ""}));
  }
  void SendRead(uint64_t unique, uint64_t handle) {
    fuse_read_in read{};
    read.fh = handle;
    read.size = 4096;
    kernel_.Send(FUSE_READ, unique, file_, FakeKernel::BytesOf(read));
  }
  void SendInterrupt(uint64_t of, uint64_t unique) {
    kernel_.Send(FUSE_INTERRUPT, unique, 0, FakeKernel::BytesOf(fuse_interrupt_in{of}));
  }
  // An answer may come a moment before its thread is done with the request.
  [[nodiscard]] bool ReceiversAreDone() const {
    const Deadline soon = Deadline::After(clock_, std::chrono::seconds(20));
    while (session_->longest_receipt() > Duration::zero() && !soon.Passed(clock_))
      std::this_thread::yield();
    return session_->longest_receipt() == Duration::zero();
  }
  void SendStatfs(uint64_t unique) { kernel_.Send(FUSE_STATFS, unique, 1, ""); }

  AdjustableClock clock_;
  NoHandOver hand_over_;
  MemoryFileSystem file_system_;
  FakeKernel kernel_;
  SessionOptions options_;
  InodeId file_ = 0;
  size_t open_count_ = 0;
  std::unique_ptr<Session> session_;
  std::future<Result<>> outcome_;
};

using Answer = FakeKernel::Answer;

TEST_F(MessageTest, AReadThatWaitsIsAnsweredAtOnceAndNotAgainWhenItsBytesCome) {
  const uint64_t handle = Open();
  file_system_.ParkReads();
  SendRead(200, handle);
  file_system_.WaitUntilParked(1);
  SendInterrupt(200, 201);
  EXPECT_EQ(kernel_.Receive(), (Answer{200, -EINTR, ""}));
  file_system_.ReleaseReads();
  SendRead(300, handle);
  EXPECT_EQ(kernel_.Receive(), (Answer{300, 0, "contents"}));
}

TEST_F(MessageTest, AnInterruptThatIsReadBeforeItsRequestIsNotForgotten) {
  const uint64_t handle = Open();
  file_system_.ParkReads();
  SendInterrupt(200, 201);
  SendStatfs(202);  // so that the interrupt was taken
  EXPECT_EQ(kernel_.Receive().unique, 202u);
  SendStatfs(204);
  EXPECT_EQ(kernel_.Receive().unique, 204u);
  SendRead(200, handle);
  EXPECT_EQ(kernel_.Receive(), (Answer{200, -EINTR, ""}));
}

TEST_F(MessageTest, AnInterruptOfWhatWasAnsweredChangesNothing) {
  const uint64_t handle = Open();
  SendRead(200, handle);
  EXPECT_EQ(kernel_.Receive(), (Answer{200, 0, "contents"}));
  SendInterrupt(200, 201);
  SendRead(300, handle);
  EXPECT_EQ(kernel_.Receive(), (Answer{300, 0, "contents"}));
}

TEST_F(MessageTest, ARequestThatWasSentAgainIsAnsweredUnderItsWholeNumber) {
  const uint64_t handle = Open();
  SendRead(200 | kUniqueResent, handle);
  EXPECT_EQ(kernel_.Receive(), (Answer{200 | kUniqueResent, 0, "contents"}));
}

// The process before may have been told, and died before it answered.
TEST_F(MessageTest, ARequestThatWasSentAgainNeedsNoInterruptToEndWhenItsCallerDied) {
  const pid_t caller = fork();
  if (caller == 0) _exit(0);
  ASSERT_EQ(waitpid(caller, nullptr, 0), caller);
  const uint64_t handle = Open();
  file_system_.ParkReads();
  kernel_.SetCaller(caller);
  SendRead(200, handle);
  file_system_.WaitUntilParked(1);
  SendRead(300 | kUniqueResent, handle);
  EXPECT_EQ(kernel_.Receive(), (Answer{300 | kUniqueResent, -EINTR, ""}));
  kernel_.SetCaller(0);
  SendRead(400 | kUniqueResent, handle);
  file_system_.WaitUntilParked(3);
  file_system_.ReleaseReads();
  EXPECT_EQ(kernel_.Receive().error, 0);
  EXPECT_EQ(kernel_.Receive().error, 0) << "of a caller that is nobody here nothing is known";
}

TEST_F(MessageTest, AnInterruptedLookupGivesItsReferenceBack) {
  file_system_.lookup_gate.Close();
  kernel_.Send(FUSE_LOOKUP, 200, kRootInode, std::string_view("file\0", 5));
  file_system_.lookup_gate.WaitUntilWaiting(1);
  SendInterrupt(200, 201);
  EXPECT_EQ(kernel_.Receive(), (Answer{200, -EINTR, ""}));
  file_system_.lookup_gate.Open();
  kernel_.Unmount();
  EXPECT_TRUE(outcome_.get());
  session_.reset();  // waits for its pool
  EXPECT_EQ(file_system_.remembered_count(file_), 0u);
}

TEST_F(MessageTest, AReceivingThreadThatIsHeldInARequestIsSeen) {
  file_system_.attributes_gate.Close();
  kernel_.Send(FUSE_GETATTR, 200, file_, FakeKernel::BytesOf(fuse_getattr_in{}));
  file_system_.attributes_gate.WaitUntilWaiting(1);
  clock_.Advance(std::chrono::hours(1));
  EXPECT_GE(session_->longest_receipt(), std::chrono::hours(1));
  EXPECT_LT(session_->longest_receipt(), std::chrono::hours(2));
  file_system_.attributes_gate.Open();
  EXPECT_EQ(kernel_.Receive().unique, 200u);
  EXPECT_TRUE(ReceiversAreDone());
}

TEST_F(MessageTest, CallsThatWaitForTheStoreHoldNoReceivingThread) {
  const uint64_t handle = Open();
  file_system_.ParkReads();
  SendRead(200, handle);
  file_system_.WaitUntilParked(1);
  file_system_.lookup_gate.Close();
  kernel_.Send(FUSE_LOOKUP, 202, kRootInode, std::string_view("file\0", 5));
  file_system_.lookup_gate.WaitUntilWaiting(1);
  EXPECT_TRUE(ReceiversAreDone());
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(session_->longest_receipt(), Duration::zero());
  file_system_.ReleaseReads();
  EXPECT_EQ(kernel_.Receive(), (Answer{200, 0, "contents"}));
  file_system_.lookup_gate.Open();
  EXPECT_EQ(kernel_.Receive().unique, 202u);
}

TEST_F(MessageTest, AnOperationNobodyKnowsGetsEnosys) {
  kernel_.Send(777, 200, kRootInode, "");
  EXPECT_EQ(kernel_.Receive(), (Answer{200, -ENOSYS, ""}));
  kernel_.Send(FUSE_GETXATTR, 202, kRootInode,
               FakeKernel::BytesOf(fuse_getxattr_in{}) + std::string("user.a\0", 7));
  EXPECT_EQ(kernel_.Receive(), (Answer{202, -ENOSYS, ""}));
}

// The seconds for which the kernel may use a name, in answers to LOOKUP and READDIRPLUS, when it
// is of version 7.`minor`.
std::pair<uint64_t, uint64_t> NameValidSeconds(uint32_t minor) {
  SystemClock clock;
  NoHandOver hand_over;
  MemoryFileSystem file_system;
  file_system.AddFile(kRootInode, "file", "contents");
  file_system.SetValidFor(std::chrono::hours(1));
  FakeKernel kernel;
  kernel.SendInit(minor);
  SessionOptions options;
  options.transport = "dev";
  auto session =
      StartSession(file_system, {.device_fd = kernel.device_fd()}, "", options, clock, hand_over);
  if (!session) return {};
  auto outcome = std::async(std::launch::async, [&] { return (*session)->Serve(); });
  kernel.Receive();
  fuse_entry_out found{};
  kernel.Send(FUSE_LOOKUP, 200, kRootInode, std::string_view("file\0", 5));
  std::memcpy(&found, kernel.Receive().body.data(), sizeof(found));
  fuse_read_in read{};
  read.size = 4096;
  fuse_open_out opened{};
  kernel.Send(FUSE_OPENDIR, 202, kRootInode, FakeKernel::BytesOf(fuse_open_in{}));
  std::memcpy(&opened, kernel.Receive().body.data(), sizeof(opened));
  read.fh = opened.fh;
  fuse_entry_out listed{};  // what a record begins with
  kernel.Send(FUSE_READDIRPLUS, 204, kRootInode, FakeKernel::BytesOf(read));
  std::memcpy(&listed, kernel.Receive().body.data(), sizeof(listed));

  EXPECT_EQ((*session)->facts().can_forget_names, minor >= 44);
  const Result<> told = (*session)->ForgetNames();
  if (minor >= 44) {
    EXPECT_EQ(kernel.Receive(), (Answer{0, 8, ""}));
  } else {
    EXPECT_FALSE(told);
  }
  kernel.Unmount();
  EXPECT_TRUE(outcome.get());
  return {found.entry_valid, listed.entry_valid};
}

TEST(ForgetNames, NamesAreGivenForLongOnlyToAKernelThatCanForgetThem) {
  EXPECT_EQ(NameValidSeconds(43), (std::pair<uint64_t, uint64_t>{10, 10}));
  EXPECT_EQ(NameValidSeconds(44), (std::pair<uint64_t, uint64_t>{3600, 3600}));
}

TEST_F(MessageTest, AnAttachedSessionAsksForWhatWasNotAnsweredAndSaysNothingElse) {
  const std::vector<std::byte> saved = session_->init_message();
  session_->Stop();
  EXPECT_TRUE(outcome_.get());
  Serve(saved);
  EXPECT_EQ(session_->init_message(), saved);
  EXPECT_EQ(kernel_.Receive(), (Answer{0, kNotifyResend, ""}));
  SendStatfs(400);
  EXPECT_EQ(kernel_.Receive().unique, 400u);  // and no answer to FUSE_INIT before it
}

TEST_F(MessageTest, AnOpenThatIsSentAgainLeavesOneHandle) {
  for (const uint32_t operation : {FUSE_OPEN, FUSE_OPENDIR}) {
    const size_t open_count = file_system_.open_handle_count();
    const InodeId inode = operation == FUSE_OPEN ? file_ : kRootInode;
    const std::string body = FakeKernel::BytesOf(fuse_open_in{});
    kernel_.Send(operation, 500, inode, body);
    kernel_.Receive();  // the kernel has not, let us say
    for (int death = 0; death < 2; ++death) {
      Attach();
      kernel_.Send(operation, 500 | kUniqueResent, inode, body);
      EXPECT_EQ(kernel_.Receive().unique, 500 | kUniqueResent);
      EXPECT_EQ(file_system_.open_handle_count(), open_count + 1);
    }
    ++open_count_;
  }
  EXPECT_EQ(session_->metrics().open_file_count(), 1u);
  EXPECT_EQ(session_->metrics().open_directory_count(), 1u);
}

TEST_F(MessageTest, AReleaseThatIsSentAgainEndsNothingElse) {
  const uint64_t first = Open();
  Open();
  for (const uint64_t unique : {uint64_t{600}, 600 | kUniqueResent}) Release(first, unique);
  EXPECT_EQ(file_system_.open_handle_count(), 1u);
  EXPECT_EQ(session_->metrics().open_file_count(), 1u);
  open_count_ = 1;
}

TEST_F(MessageTest, WhatIsOpenIsCountedOverAChangeOfTheProcess) {
  std::vector<uint64_t> files;
  for (int i = 0; i < 5; ++i) files.push_back(Open());
  for (const uint64_t unique : {500, 501}) {
    kernel_.Send(FUSE_OPENDIR, unique, kRootInode, FakeKernel::BytesOf(fuse_open_in{}));
    EXPECT_EQ(kernel_.Receive().error, 0);
    ++open_count_;
  }
  Attach();
  EXPECT_EQ(session_->metrics().open_file_count(), 5u);
  EXPECT_EQ(session_->metrics().open_directory_count(), 2u);
  for (int i = 0; i < 4; ++i) Open();
  for (const uint64_t file : files) Release(file, 600);
  open_count_ -= files.size();
  EXPECT_EQ(session_->metrics().open_file_count(), 4u);
  EXPECT_EQ(session_->metrics().open_directory_count(), 2u);
}

TEST_F(MessageTest, ASavedInitThatWasCutShortIsRefused) {
  std::vector<std::byte> saved = session_->init_message();
  saved.pop_back();
  const auto session =
      StartSession(file_system_, {.device_fd = kernel_.device_fd(), .saved_init = std::move(saved)},
                   "", options_, clock_, hand_over_);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace shoal
