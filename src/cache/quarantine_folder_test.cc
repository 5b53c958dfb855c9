#include "cache/quarantine_folder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <ctime>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "testing/temporary_directory.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

class QuarantineFolderTest : public testing::Test {
 protected:
  QuarantineFolderTest()
      : folder_(*QuarantineFolder::Open(
            FileDescriptor(open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY)), "it",
            uint64_t{1} << 40)) {}

  // Once the clock of the file system shows another time than for the object before it.
  void Write(char object, size_t size_bytes = 10) {
    timespec now{};
    do clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_sec == written_at_.tv_sec && now.tv_nsec == written_at_.tv_nsec);
    written_at_ = now;
    const std::vector<std::byte> bytes(size_bytes, std::byte{7});
    ASSERT_TRUE(folder_->Write({object}, bytes, bytes));
  }
  [[nodiscard]] std::set<std::string> Files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path()))
      names.insert(entry.path().filename());
    return names;
  }
  // The two files of each of the objects.
  static std::set<std::string> PairsOf(std::string_view objects) {
    std::set<std::string> names;
    for (const char object : objects)
      for (const std::string_view suffix : {".data", ".meta"})
        names.insert(object + std::string(suffix));
    return names;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<QuarantineFolder> folder_;
  timespec written_at_{};
};

TEST_F(QuarantineFolderTest, TheLastEightObjectsStayWithBothTheirFiles) {
  for (const char object : std::string_view("kjihgfedcb")) Write(object);
  EXPECT_EQ(Files(), PairsOf("ihgfedcb"));
}

TEST_F(QuarantineFolderTest, WhoComesAtOnceLeavesNoHalfObjects) {
  std::vector<std::thread> threads;
  for (const char first : {'a', 'k', 'A', 'K'})
    threads.emplace_back([this, first] {
      for (char object = first; object < first + 10; ++object)
        EXPECT_TRUE(folder_->Write({object}, std::vector<std::byte>(100'000),
                                   std::vector<std::byte>(4096)));
    });
  for (std::thread& thread : threads) thread.join();
  std::string objects;
  for (const std::string& file : Files())
    if (file.ends_with(".data")) objects += file.front();
  EXPECT_THAT(objects, testing::SizeIs(8));
  EXPECT_EQ(Files(), PairsOf(objects));
}

TEST_F(QuarantineFolderTest, LargeObjectsGoOnceTheyTakeMoreThanTheirRoom) {
  for (const char object : std::string_view("cba")) Write(object, 15 << 20);
  EXPECT_EQ(Files(), PairsOf("ba"));
  EXPECT_GE(folder_->block_count(), (60U << 20) / 4096);
  EXPECT_LE(folder_->block_count(), (61U << 20) / 4096);
}

TEST_F(QuarantineFolderTest, TakesASixteenthOfASmallCapacityAtMost) {
  EXPECT_EQ(QuarantineFolder::BlocksMaxOf(uint64_t{1} << 40), (64U << 20) / 4096);
  EXPECT_EQ(QuarantineFolder::BlocksMaxOf(64 << 20), (4U << 20) / 4096);
  folder_->SetCapacity(64 << 20);
  for (const char object : std::string_view("cba")) Write(object, 900'000);
  EXPECT_EQ(Files(), PairsOf("ba"));
}

TEST_F(QuarantineFolderTest, AnObjectThatIsTooLargeByItselfTakesNoOthersPlace) {
  folder_->SetCapacity(64 << 20);
  Write('a', 100'000);
  Write('b', 3 << 20);
  EXPECT_EQ(Files(), PairsOf("a"));
}

TEST_F(QuarantineFolderTest, GivesWayWhenTheCapacityBecomesSmaller) {
  for (const char object : std::string_view("cba")) Write(object, 900'000);
  folder_->SetCapacity(64 << 20);
  EXPECT_EQ(Files(), PairsOf("cba")) << "nobody waits for the medium yet";
  ASSERT_TRUE(folder_->KeepWithinCapacity());
  EXPECT_EQ(Files(), PairsOf("ba"));
  EXPECT_LE(folder_->block_count(), (4U << 20) / 4096);
}

}  // namespace
}  // namespace shoal
