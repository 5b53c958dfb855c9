#include "fs/shared_hand_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace shoal {
namespace {

using Kind = HandOverRecord::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// As a memfd would be: shared with children, and whole pages.
class Memory {
 public:
  explicit Memory(size_t bytes)
      : bytes_(static_cast<std::byte*>(
                   mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
               bytes) {}
  ~Memory() { munmap(bytes_.data(), bytes_.size()); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::span<std::byte> bytes() { return bytes_; }
  std::unique_ptr<SharedHandOver> Attach() { return *SharedHandOver::Attach(bytes_); }

 private:
  std::span<std::byte> bytes_;
};

// "number:count:values:text:more" of each record.
std::vector<std::string> Left(HandOver& hand_over, Kind kind) {
  std::vector<std::string> out;
  hand_over.VisitLeft(kind, [&](HandOver::Token, const HandOverRecord& record) {
    std::string line = std::to_string(record.number) + ":" + std::to_string(record.count);
    for (const uint64_t value : record.values) line += ":" + std::to_string(value);
    out.push_back(line + ":" + std::string(record.text) + ":" + std::string(record.more_text));
  });
  return out;
}

TEST(SharedHandOver, WhatWasKeptIsThereForTheNextProcess) {
  Memory memory(kMiB);
  {
    const auto first = memory.Attach();
    first->Keep({.kind = Kind::kDirectory, .number = 7, .count = 3, .text = "a/b/"});
    first->Keep({.kind = Kind::kOpenFile,
                 .number = 9,
                 .values = {1, 2, 3, 4, 5},
                 .text = "key",
                 .more_text = "\"etag\""});
  }
  const auto next = memory.Attach();
  EXPECT_THAT(Left(*next, Kind::kDirectory), ElementsAre("7:3:0:0:0:0:0:a/b/:"));
  EXPECT_THAT(Left(*next, Kind::kOpenFile), ElementsAre("9:0:1:2:3:4:5:key:\"etag\""));
  EXPECT_THAT(Left(*next, Kind::kBackingFile), IsEmpty());
}

TEST(SharedHandOver, WhatWasDroppedIsGoneAndCountsAreTheLast) {
  Memory memory(kMiB);
  {
    const auto first = memory.Attach();
    const auto dropped = first->Keep({.kind = Kind::kDirectory, .number = 1});
    const auto counted = first->Keep({.kind = Kind::kDirectory, .number = 2, .count = 1});
    first->SetCount(counted, 41);
    first->Drop(dropped);
    const auto third = first->Keep({.kind = Kind::kDirectory, .number = 3});
    EXPECT_EQ(third, dropped) << "tokens are used again";
    first->SetCount(third, 5);
  }
  const auto next = memory.Attach();
  EXPECT_THAT(Left(*next, Kind::kDirectory),
              UnorderedElementsAre("2:41:0:0:0:0:0::", "3:5:0:0:0:0:0::"));
}

TEST(SharedHandOver, EachProcessHasAGenerationOfItsOwn) {
  Memory memory(kMiB);
  EXPECT_EQ(memory.Attach()->generation(), 1u);
  EXPECT_EQ(memory.Attach()->generation(), 2u);
}

TEST(SharedHandOver, ManyMoreThanThereIsRoomForAreKeptOneAfterTheOther) {
  Memory memory(64 * kKiB);
  const auto hand_over = memory.Attach();
  const auto stays = hand_over->Keep({.kind = Kind::kDirectory, .number = 1, .text = "stays/"});
  for (uint64_t i = 0; i < 100'000; ++i) {
    const auto token = hand_over->Keep({.kind = Kind::kOpenFile, .number = i, .text = "a key"});
    ASSERT_NE(token, HandOver::kNone) << i;
    hand_over->SetCount(stays, i);
    hand_over->Drop(token);
  }
  const auto next = memory.Attach();
  EXPECT_THAT(Left(*next, Kind::kDirectory), ElementsAre("1:99999:0:0:0:0:0:stays/:"));
  EXPECT_THAT(Left(*next, Kind::kOpenFile), IsEmpty());
}

TEST(SharedHandOver, WithoutRoomNothingIsKeptAndWhatWasIsThereStill) {
  Memory memory(16 * kKiB);
  const auto hand_over = memory.Attach();
  std::vector<HandOver::Token> tokens;
  while (true) {
    const auto token = hand_over->Keep({.kind = Kind::kOpenFile, .number = tokens.size()});
    if (token == HandOver::kNone) break;
    tokens.push_back(token);
  }
  EXPECT_GT(tokens.size(), 10u);
  EXPECT_EQ(Left(*hand_over, Kind::kOpenFile).size(), tokens.size());
  hand_over->Drop(tokens.back());
  EXPECT_NE(hand_over->Keep({.kind = Kind::kOpenFile, .number = 1}), HandOver::kNone);
  EXPECT_EQ(hand_over->Keep({.kind = Kind::kOpenFile, .text = std::string(100'000, 'x')}),
            HandOver::kNone);
}

TEST(SharedHandOver, WithoutRoomNothingIsMovedInVain) {
  Memory memory(16 * kKiB);
  const auto hand_over = memory.Attach();
  while (hand_over->Keep({.kind = Kind::kOpenFile}) != HandOver::kNone) {
  }
  const std::vector<std::byte> before(memory.bytes().begin(), memory.bytes().end());
  EXPECT_EQ(hand_over->Keep({.kind = Kind::kOpenFile}), HandOver::kNone);
  EXPECT_THAT(memory.bytes(), testing::ElementsAreArray(before));
}

TEST(SharedHandOver, MemoryOfAnotherVersionIsAsGoodAsEmpty) {
  Memory memory(kMiB);
  memory.Attach()->Keep({.kind = Kind::kDirectory, .number = 7});
  memory.bytes()[8] = std::byte{99};
  const auto next = memory.Attach();
  EXPECT_THAT(Left(*next, Kind::kDirectory), IsEmpty());
  next->Keep({.kind = Kind::kDirectory, .number = 8});
  EXPECT_THAT(Left(*memory.Attach(), Kind::kDirectory), ElementsAre("8:0:0:0:0:0:0::"));
}

TEST(SharedHandOver, MemoryOfAnotherVersionIsKnownBeforeItIsTouchedAndGenerationsGoOnBehindIt) {
  Memory memory(kMiB);
  EXPECT_TRUE(SharedHandOver::CheckVersion(memory.bytes()));
  for (uint64_t i = 1; i <= 3; ++i) EXPECT_EQ(memory.Attach()->generation(), i);
  EXPECT_TRUE(SharedHandOver::CheckVersion(memory.bytes()));
  memory.bytes()[8] = std::byte{99};
  const auto checked = SharedHandOver::CheckVersion(memory.bytes());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::kUnsupported);
  EXPECT_EQ(memory.Attach()->generation(), 4u) << "and no handle of before names another file";
}

TEST(SharedHandOver, TooLittleMemoryIsRefused) {
  Memory memory(4096);
  EXPECT_EQ(SharedHandOver::Attach(memory.bytes()).error().code, Errc::kInvalid);
}

// Whatever bytes are changed: nothing is read outside, and nothing is there that was not kept.
TEST(SharedHandOver, DamagedMemoryIsNeverTrusted) {
  Memory memory(32 * kKiB);
  std::string sound;
  {
    const auto hand_over = memory.Attach();
    for (uint64_t i = 0; i < 40; ++i)
      hand_over->Keep({.kind = Kind::kOpenFile,
                       .number = i,
                       .values = {i, i, i, i, i},
                       .text = std::string(i, 'k'),
                       .more_text = "etag"});
    sound.assign(reinterpret_cast<const char*>(memory.bytes().data()), memory.bytes().size());
  }
  std::mt19937_64 chance(1);
  for (int round = 0; round < 3000; ++round) {
    std::memcpy(memory.bytes().data(), sound.data(), sound.size());
    for (uint64_t change = chance() % 4; change < 4; ++change) {
      // In the header as often as in the records.
      const uint64_t within = chance() % 2 == 0 ? 40 : memory.bytes().size();
      memory.bytes()[chance() % within] = static_cast<std::byte>(chance());
    }
    const auto next = memory.Attach();
    for (const std::string& line : Left(*next, Kind::kOpenFile)) {
      const uint64_t number = std::stoull(line);
      ASSERT_LT(number, 40u);
      const std::string n = ":" + std::to_string(number);
      const size_t values_at = line.find(':', line.find(':') + 1);  // behind the count
      EXPECT_EQ(line.substr(values_at),
                n + n + n + n + n + ":" + std::string(number, 'k') + ":etag");
    }
    EXPECT_NE(next->Keep({.kind = Kind::kBackingFile, .number = 1}), HandOver::kNone);
  }
}

// A child keeps and drops until it is killed, and says before and after each step what it
// does; at most the step it died in is in doubt.
TEST(SharedHandOver, AWriterMayDieBetweenAnyTwoInstructions) {
  constexpr uint64_t kSlotCount = 50;
  Memory memory(64 * kKiB);
  Memory said(4096);
  struct Said {
    std::atomic<uint64_t> doubtful;          // a slot, or kSlotCount
    std::atomic<uint64_t> kept[kSlotCount];  // 0, or the count
  };
  auto& told = *new (said.bytes().data()) Said{};
  told.doubtful = kSlotCount;
  std::mt19937_64 chance(2);
  for (int round = 0; round < 60; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      const auto hand_over = memory.Attach();
      std::map<uint64_t, HandOver::Token> tokens;
      hand_over->VisitLeft(Kind::kDirectory, [&](HandOver::Token token, const HandOverRecord& r) {
        tokens[r.number] = token;
      });
      std::mt19937_64 choice(static_cast<uint64_t>(round));
      while (true) {
        const uint64_t slot = choice() % kSlotCount;
        told.doubtful = slot;
        if (tokens.contains(slot)) {
          hand_over->Drop(tokens[slot]);
          tokens.erase(slot);
          told.kept[slot] = 0;
        } else {
          const uint64_t count = 1 + choice() % 1000;
          tokens[slot] = hand_over->Keep({.kind = Kind::kDirectory,
                                          .number = slot,
                                          .count = count,
                                          .text = std::string(choice() % 200, 'p')});
          told.kept[slot] = count;
        }
        told.doubtful = kSlotCount;
      }
    }
    usleep(static_cast<useconds_t>(500 + chance() % 3000));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const auto next = memory.Attach();
    std::map<uint64_t, uint64_t> left;
    next->VisitLeft(Kind::kDirectory, [&](HandOver::Token, const HandOverRecord& record) {
      EXPECT_TRUE(left.emplace(record.number, record.count).second) << "twice";
    });
    for (uint64_t slot = 0; slot < kSlotCount; ++slot) {
      const uint64_t expected = told.kept[slot];
      const auto found = left.find(slot);
      if (slot != told.doubtful) {
        ASSERT_EQ(found == left.end() ? 0 : found->second, expected) << "slot " << slot;
      }
      told.kept[slot] = found == left.end() ? 0 : found->second;
    }
    told.doubtful = kSlotCount;
  }
}

}  // namespace
}  // namespace shoal
