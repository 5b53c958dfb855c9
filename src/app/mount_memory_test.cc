#include "app/mount_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace shoal {
namespace {

TEST(MountMemory, WhatOneProcessSavesTheNextFinds) {
  const auto keeper = *MountMemory::Create();
  const std::vector<std::byte> message(120, std::byte{7});
  {
    const auto worker = *MountMemory::Open(keeper->fd());
    EXPECT_TRUE(worker->saved_init().empty());
    EXPECT_TRUE(worker->SaveInit(message));
    worker->SetOutlivesItsWorker(true);
    worker->SetRecoveryLimit(9);
    EXPECT_EQ(worker->workers_before().death_count, 0u);
    EXPECT_FALSE(worker->opens_go_unasked());
    worker->SetOpensGoUnasked(true);
    std::memset(worker->hand_over_area().data(), 1, worker->hand_over_area().size() / 1000);
  }
  EXPECT_TRUE(keeper->outlives_its_worker());
  EXPECT_EQ(keeper->recovery_limit_seconds(), 9u);
  keeper->CountDeath(7);
  keeper->CountDeath(8);
  keeper->CountReplacement();
  const auto next = *MountMemory::Open(keeper->fd());
  EXPECT_EQ(next->workers_before().death_count, 2u);
  EXPECT_EQ(next->workers_before().last_death_unix_seconds, 8);
  EXPECT_EQ(next->workers_before().replaced_count, 1u);
  EXPECT_EQ(next->saved_init(), message);
  EXPECT_TRUE(next->opens_go_unasked());
  EXPECT_EQ(next->hand_over_area()[0], std::byte{1});
}

TEST(MountMemory, ItTakesNoMemoryUntilItIsUsed) {
  const auto memory = *MountMemory::Create();
  struct stat status {};
  ASSERT_EQ(fstat(memory->fd(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 64 * 1024);
}

TEST(MountMemory, AnotherFileIsRefused) {
  const int fd = memfd_create("other", MFD_CLOEXEC);
  EXPECT_EQ(MountMemory::Open(fd).error().code, Errc::kInvalid);
  close(fd);
  EXPECT_FALSE(MountMemory::Open(-1));
}

TEST(MountMemory, AnInitThatIsTooLongIsNotSaved) {
  const auto memory = *MountMemory::Create();
  EXPECT_FALSE(memory->SaveInit(std::vector<std::byte>(5000)));
  EXPECT_TRUE(memory->saved_init().empty());
}

}  // namespace
}  // namespace shoal
