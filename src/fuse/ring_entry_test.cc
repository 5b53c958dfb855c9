#include "fuse/ring_entry.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/file_descriptor.h"
#include "fuse/ring_memory.h"

namespace shoal {
namespace {

constexpr RingGeometry kGeometry{.queue_count = 2, .entry_count = 3, .payload_bytes = 8192};
constexpr uint64_t kUnique = 40;

struct Message {
  fuse_in_header header;
  std::string rest;  // the operation's struct, and names
};

Message Parse(std::span<const std::byte> bytes) {
  Message message{};
  if (bytes.size() < sizeof(message.header)) return message;
  std::memcpy(&message.header, bytes.data(), sizeof(message.header));
  message.rest.assign(reinterpret_cast<const char*>(bytes.data()) + sizeof(message.header),
                      bytes.size() - sizeof(message.header));
  return message;
}

// The memory of the rings as one process after another has it, and the kernel's part in it.
class RingEntryTest : public testing::Test {
 protected:
  RingEntryTest() { StartProcess(); }

  void StartProcess() {
    entry_.reset();
    memory_.reset();
    auto memory = RingMemory::Map(file_.get(), kGeometry);
    ASSERT_TRUE(memory) << memory.error().detail;
    memory_ = *std::move(memory);
    entry_.emplace(1, memory_->page(1, 1), memory_->payload(1, 1), kGeometry.payload_bytes,
                   answered_);
  }
  // What the kernel puts there before it completes the command.
  void KernelPuts(uint64_t id, std::string_view operation, std::string_view input) {
    RingHeader& header = memory_->page(1, 1).kernel;
    fuse_in_header in{};
    in.len = static_cast<uint32_t>(sizeof(in) + operation.size() + input.size());
    in.opcode = FUSE_LOOKUP;
    in.unique = kUnique;
    std::memcpy(header.in_out, &in, sizeof(in));
    std::memcpy(header.operation_in, operation.data(), operation.size());
    std::memcpy(memory_->payload(1, 1), input.data(), input.size());
    header.payload_bytes = static_cast<uint32_t>(input.size());
    header.commit_id = id;
  }
  void Answer(uint64_t unique, std::string body) {
    fuse_out_header out{0, 0, unique};
    const iovec parts[] = {{&out, sizeof(out)}, {body.data(), body.size()}};
    EXPECT_EQ(entry_->Send(parts), 0);
  }
  [[nodiscard]] fuse_out_header KernelFinds() const {
    fuse_out_header out{};
    std::memcpy(&out, memory_->page(1, 1).kernel.in_out, sizeof(out));
    return out;
  }

  const FileDescriptor file_{*RingMemory::MakeFile()};
  int answered_count_ = 0;
  const RingEntry::Answered answered_ = [this](RingEntry&) { ++answered_count_; };
  std::unique_ptr<RingMemory> memory_;
  std::optional<RingEntry> entry_;
};

TEST_F(RingEntryTest, WhatWasReceivedIsFoundWholeThoughAnAnswerWasBegun) {
  KernelPuts(7, "struct", "name-of-a-file");
  EXPECT_EQ(Parse(entry_->Receive(false)).rest, "structname-of-a-file");
  Answer(kUnique, std::string(5000, 'x'));  // but it was not marked: it may be half of one
  StartProcess();
  ASSERT_EQ(entry_->left(), RingEntry::Left::kRequest);
  const Message message = Parse(entry_->Receive(true));
  EXPECT_EQ(message.rest, "structname-of-a-file");
  EXPECT_EQ(message.header.unique, kUnique | kUniqueResent);
  EXPECT_EQ(message.header.opcode, uint32_t{FUSE_LOOKUP});
  Answer(message.header.unique, "answer");
  EXPECT_EQ(KernelFinds().unique, kUnique) << "as the kernel knows it";
  EXPECT_EQ(entry_->answer_bytes(), 6U);
  EXPECT_EQ(entry_->commit_id(), 7U);
  EXPECT_EQ(answered_count_, 2);
}

TEST_F(RingEntryTest, WhatWasNeverLookedAtIsFoundAsTheKernelPutIt) {
  KernelPuts(7, "struct", "name");
  StartProcess();
  ASSERT_EQ(entry_->left(), RingEntry::Left::kRequest);
  EXPECT_EQ(Parse(entry_->Receive(true)).rest, "structname");
}

TEST_F(RingEntryTest, AnAnswerThatTheKernelMayHaveIsTakenAsItIsAndOneThatItHasIsDone) {
  EXPECT_EQ(entry_->left(), RingEntry::Left::kNothing);
  KernelPuts(7, "struct", "name");
  EXPECT_EQ(Parse(entry_->Receive(false)).rest, "structname");
  Answer(kUnique, "answer");
  entry_->MarkAnswered();
  StartProcess();
  ASSERT_EQ(entry_->left(), RingEntry::Left::kAnswer);
  entry_->TakeAnswer();
  EXPECT_EQ(entry_->commit_id(), 7U);
  EXPECT_EQ(KernelFinds().unique, kUnique);
  entry_->MarkCommitted(entry_->commit_id());
  StartProcess();
  EXPECT_EQ(entry_->left(), RingEntry::Left::kNothing);
  KernelPuts(9, "struct", "next");
  EXPECT_EQ(entry_->left(), RingEntry::Left::kRequest);
}

TEST_F(RingEntryTest, ARequestOfWhichNotAllWasKeptIsRefusedByTheNextProcess) {
  KernelPuts(7, "struct", std::string(RingEntryPage::kSavedInputBytesMax + 1, 'n'));
  EXPECT_FALSE(entry_->Receive(false).empty());
  StartProcess();
  EXPECT_TRUE(entry_->Receive(true).empty());
  entry_->Refuse();
  EXPECT_EQ(KernelFinds().error, -EIO);
  EXPECT_EQ(KernelFinds().unique, kUnique);
}

TEST_F(RingEntryTest, AMessageWhosePartsAreLongerThanItIsIsRefused) {
  KernelPuts(7, "", std::string(100, 'n'));
  memory_->page(1, 1).kernel.payload_bytes = 4000;
  EXPECT_TRUE(entry_->Receive(false).empty());
  KernelPuts(8, "", "");
  memory_->page(1, 1).kernel.in_out[0] = std::byte{8};  // shorter than its header
  EXPECT_TRUE(entry_->Receive(false).empty());
}

TEST_F(RingEntryTest, TheMemoryKeepsTheShapeThatItsFirstProcessGaveIt) {
  std::byte* const payload = memory_->payload(1, 2);
  std::memset(payload, 'z', kGeometry.payload_bytes);
  EXPECT_EQ(memory_->turn(), 1U);
  memory_->SetServing();
  entry_.reset();
  memory_.reset();
  auto next =
      RingMemory::Map(file_.get(), {.queue_count = 9, .entry_count = 9, .payload_bytes = 4096});
  ASSERT_TRUE(next) << next.error().detail;
  EXPECT_EQ((*next)->geometry(), kGeometry);
  EXPECT_EQ((*next)->payload(1, 2), payload) << "the kernel keeps addresses";
  EXPECT_EQ(payload[kGeometry.payload_bytes - 1], std::byte{'z'});
  EXPECT_EQ((*next)->turn(), 2U);
  EXPECT_EQ((*next)->serving_turn(), 1U);
}

TEST_F(RingEntryTest, AMemoryOfAnotherShapeThanItSaysIsNotTaken) {
  entry_.reset();
  memory_.reset();
  ASSERT_EQ(ftruncate(file_.get(), 4096), 0);
  const auto cut = RingMemory::Map(file_.get(), kGeometry);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Errc::kUnsupported);
}

}  // namespace
}  // namespace shoal
