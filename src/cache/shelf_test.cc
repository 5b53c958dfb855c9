#include "cache/shelf.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "cache/counted_blocks.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

ObjectDigest NameOf(const std::string& object) {
  return ObjectDigest::Of(object);
}

class ShelfTest : public ::testing::Test {
 protected:
  ShelfTest() : folder_(open(outside_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    Restart();
  }
  // As another process finds it.
  void Restart() {
    shelf_.reset();
    sum_.emplace();
    shelf_.emplace(folder_.get(), "00", "the shelf", *sum_);
  }
  fs::path File(const std::string& suffix) const { return outside_.path() / ("00" + suffix); }
  uint64_t BlocksOnDisk() const {
    struct stat file {};
    EXPECT_EQ(stat(File(".bytes").c_str(), &file), 0);
    return static_cast<uint64_t>(file.st_blocks) * 512 / kCacheBlockBytes;
  }

  void Put(const std::string& object, const std::string& bytes, const std::string& meta = "meta") {
    auto made = shelf_->Create(NameOf(object), bytes.size());
    ASSERT_TRUE(made) << made.error().detail;
    ASSERT_TRUE((*made)->WriteData(0, std::as_bytes(std::span(bytes))));
    ASSERT_TRUE((*made)->WriteMeta(0, std::as_bytes(std::span(meta))));
  }
  static std::string BytesOf(StoredObject& object) {
    std::string bytes(*object.DataBytes(), '?');
    EXPECT_TRUE(object.ReadData(0, std::as_writable_bytes(std::span(bytes))));
    return bytes;
  }
  static std::string MetaOf(StoredObject& object, size_t size_bytes) {
    std::string meta(size_bytes, '?');
    EXPECT_TRUE(object.ReadMeta(0, std::as_writable_bytes(std::span(meta))));
    return meta;
  }
  std::string Get(const std::string& object) {
    const auto found = shelf_->Open(NameOf(object));
    if (!found) return found.error().code == Errc::kNotFound ? "(not here)" : found.error().detail;
    return BytesOf(**found);
  }
  std::vector<CacheStorage::Found> Scanned(bool clean = false) {
    std::vector<CacheStorage::Found> all;
    EXPECT_EQ(shelf_
                  ->Scan(clean,
                         [&](const CacheStorage::Found& found) {
                           all.push_back(found);
                           return true;
                         })
                  .value_or(false),
              true);
    return all;
  }
  std::vector<ObjectDigest> Names() {
    std::vector<ObjectDigest> names;
    for (const auto& found : Scanned()) names.push_back(found.name);
    return names;
  }

  TemporaryDirectory outside_;
  FileDescriptor folder_;
  std::optional<BlockSum> sum_;
  std::optional<Shelf> shelf_;
};

TEST_F(ShelfTest, AnObjectIsReadAsItWasWrittenAlsoAfterARestart) {
  const std::string bytes(110 * kKiB + 17, 'a');
  Put("a", bytes, "its meta");
  for (int i = 0; i < 2; ++i, Restart()) {
    const auto found = shelf_->Open(NameOf("a"));
    ASSERT_TRUE(found);
    EXPECT_EQ(BytesOf(**found), bytes);
    EXPECT_EQ(MetaOf(**found, 10), std::string("its meta\0\0", 10));
    EXPECT_EQ((*found)->BlockCount().value(), 1 + 28U);
    EXPECT_LT((*found)->data_fd(), 0);
  }
}

TEST_F(ShelfTest, NeighboursDoNotTouchAndNothingIsWrittenOutsideOfAPlace) {
  Put("a", std::string(4096, 'a'), std::string(4096, 'A'));
  Put("b", std::string(1, 'b'), std::string(4096, 'B'));
  Put("c", std::string(4096, 'c'), std::string(4096, 'C'));
  const auto b = shelf_->Open(NameOf("b"));
  ASSERT_TRUE(b);
  const std::string two = "bb";
  EXPECT_EQ((*b)->WriteData(0, std::as_bytes(std::span(two))).error().code, Errc::kInvalid);
  EXPECT_EQ((*b)->WriteMeta(4095, std::as_bytes(std::span(two))).error().code, Errc::kInvalid);
  EXPECT_EQ(MetaOf(**b, 8192), std::string(4096, 'B') + std::string(4096, '\0'));
  EXPECT_EQ(Get("a"), std::string(4096, 'a'));
  EXPECT_EQ(Get("b"), "b");
  EXPECT_EQ(Get("c"), std::string(4096, 'c'));
}

TEST_F(ShelfTest, WhatIsRemovedGivesItsRoomBackAndStaysAway) {
  Put("a", std::string(100 * kKiB, 'a'));
  Put("b", std::string(100 * kKiB, 'b'));
  const uint64_t both = BlocksOnDisk();
  EXPECT_TRUE(shelf_->Remove(NameOf("a")).value());
  EXPECT_EQ(BlocksOnDisk(), both - 26);
  EXPECT_FALSE(shelf_->Remove(NameOf("a")).value());
  for (int i = 0; i < 2; ++i, Restart()) {
    EXPECT_EQ(Get("a"), "(not here)");
    EXPECT_EQ(Get("b"), std::string(100 * kKiB, 'b'));
  }
}

TEST_F(ShelfTest, WhoHasAnObjectOpenReadsItOnAfterItWasRemovedAndMadeAnew) {
  Put("a", "old bytes");
  const uint64_t one = BlocksOnDisk();
  {
    const auto old = shelf_->Open(NameOf("a"));
    ASSERT_TRUE(old);
    ASSERT_TRUE(shelf_->Remove(NameOf("a")));
    Put("a", "new bytes!");
    EXPECT_EQ(BytesOf(**old), "old bytes");
    EXPECT_EQ(Get("a"), "new bytes!");
  }
  EXPECT_GT(BlocksOnDisk(), one);  // a reader that lets go does not wait for the medium
  Scanned();                       // who comes next makes the hole
  EXPECT_EQ(BlocksOnDisk(), one);
  EXPECT_EQ(Get("a"), "new bytes!");
}

TEST_F(ShelfTest, WhatWasRemovedCountsForAsLongAsSomebodyReadsItAlsoBesideWhatIsNotWrittenYet) {
  Put("kept", "bytes");
  Put("a", std::string(100 * kKiB, 'a'));
  const uint64_t before = sum_->value();
  {
    const auto reader = shelf_->Open(NameOf("a"));
    ASSERT_TRUE(reader);
    ASSERT_TRUE(shelf_->Remove(NameOf("a")));
    ASSERT_TRUE(shelf_->Create(NameOf("b"), 100 * kKiB));
    EXPECT_EQ(sum_->value(), before + 26);
    ASSERT_TRUE(shelf_->PutInOrder(0));
    EXPECT_EQ(sum_->value(), before + 26);
  }
  ASSERT_TRUE(shelf_->PutInOrder(0));
  EXPECT_EQ(sum_->value(), before);
  EXPECT_EQ(BlocksOnDisk(), 2u);
}

TEST_F(ShelfTest, AnIndexThatCannotBeWrittenAnewCountsWhatItTakesAndIsWrittenAgainLater) {
  for (uint64_t i = 0; i < 8'500; ++i) {
    const ObjectDigest name{{1, i}};
    ASSERT_TRUE(shelf_->Create(name, 1));
    ASSERT_TRUE(shelf_->Remove(name));
  }
  const auto size = [&] { return fs::file_size(File(".index")); };
  const uint64_t long_bytes = size();
  fs::create_hard_link(File(".index"), File(".link"));  // it is not as it was made
  EXPECT_FALSE(shelf_->PutInOrder(1));
  EXPECT_EQ(size(), long_bytes);
  fs::remove(File(".link"));
  EXPECT_TRUE(shelf_->PutInOrder(1));
  EXPECT_EQ(size(), 0u);
  EXPECT_LE(sum_->value(), 1u);
}

TEST_F(ShelfTest, AScanFindsWhatIsThereWithItsRoomAndWhenItWasUsed) {
  Put("a", std::string(5000, 'a'));
  Put("b", "b");
  Put("gone", "c");
  ASSERT_TRUE(shelf_->Remove(NameOf("gone")));
  EXPECT_TRUE(shelf_->MarkUsed(NameOf("b")).value());
  EXPECT_FALSE(shelf_->MarkUsed(NameOf("gone")).value());
  EXPECT_TRUE(shelf_->PutInOrder(0)) << "there is room for it in the log's last block";
  Restart();
  const auto found = Scanned();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].name, NameOf("a"));
  EXPECT_EQ(found[0].block_count, 3U);
  EXPECT_EQ(found[1].block_count, 2U);
  EXPECT_GE(found[1].used_unix_seconds, found[0].used_unix_seconds);
  EXPECT_GT(found[0].used_unix_seconds, 1'600'000'000);
}

TEST_F(ShelfTest, RoomThatBelongsToNobodyIsGivenBackByAScanThatCleans) {
  Put("a", std::string(40 * kKiB, 'a'));
  Put("lost", std::string(40 * kKiB, 'x'));
  Put("b", std::string(40 * kKiB, 'b'));
  fs::resize_file(File(".index"), 3 * kShelfEntryBytes);
  std::fstream index(File(".index"), std::ios::in | std::ios::out | std::ios::binary);
  index.seekp(kShelfEntryBytes);
  index.put('!');
  index.close();
  Restart();
  EXPECT_THAT(Names(), UnorderedElementsAre(NameOf("a"), NameOf("b")));
  EXPECT_EQ(BlocksOnDisk(), 33U);
  Scanned(/*clean=*/true);
  EXPECT_EQ(BlocksOnDisk(), 22U);
  EXPECT_EQ(Get("a"), std::string(40 * kKiB, 'a'));
  EXPECT_EQ(Get("b"), std::string(40 * kKiB, 'b'));
}

TEST_F(ShelfTest, PlacesAreNeverTakenTwiceAlsoWhenTheIndexLostItsEnd) {
  Put("a", "first");
  Put("b", "second");
  fs::resize_file(File(".index"), kShelfEntryBytes + 5);  // broken off within an entry
  Restart();
  Put("c", "third");
  Restart();
  EXPECT_EQ(Get("a"), "first");
  EXPECT_EQ(Get("b"), "(not here)");
  EXPECT_EQ(Get("c"), "third");
  std::ifstream bytes(File(".bytes"), std::ios::binary);
  bytes.seekg(3 * 4096);
  std::string second(6, '?');
  bytes.read(second.data(), 6);
  EXPECT_EQ(second, "second");
}

TEST_F(ShelfTest, TheIndexDoesNotGrowWithWhatComesAndGoes) {
  Put("stays", "here");
  for (int i = 0; i < 40'000; ++i) {
    const ObjectDigest name{{1, static_cast<uint64_t>(i)}};
    ASSERT_TRUE(shelf_->Create(name, 1));
    ASSERT_TRUE(shelf_->Remove(name));
    ASSERT_TRUE(shelf_->PutInOrder(1));  // what is here, in one block
  }
  EXPECT_LT(fs::file_size(File(".index")), 20'000 * kShelfEntryBytes);
  Restart();
  EXPECT_EQ(Get("stays"), "here");
  EXPECT_THAT(Names(), UnorderedElementsAre(NameOf("stays")));
}

TEST_F(ShelfTest, WhenObjectsWereUsedIsWrittenWhereThereIsRoomForIt) {
  Put("a", "a");
  Put("b", "b");
  constexpr uint64_t kEntries = kCacheBlockBytes / kShelfEntryBytes;
  for (uint64_t i = 2; i < kEntries + 1; ++i) ASSERT_TRUE(shelf_->MarkUsed(NameOf("a")));
  EXPECT_EQ(shelf_->BlocksToPutInOrder(), 1u);
  ASSERT_TRUE(shelf_->PutInOrder(0));
  EXPECT_EQ(fs::file_size(File(".index")), 2 * kShelfEntryBytes);
  const uint64_t before = sum_->value();
  ASSERT_TRUE(shelf_->PutInOrder(1));
  EXPECT_EQ(fs::file_size(File(".index")), (kEntries + 1) * kShelfEntryBytes);
  EXPECT_EQ(sum_->value(), before + 1);
  EXPECT_EQ(shelf_->BlocksToPutInOrder(), 0u);
}

TEST_F(ShelfTest, WhatWasPlantedInThePlaceOfItsFilesIsNotFollowed) {
  TemporaryDirectory elsewhere;
  const fs::path secret = elsewhere.path() / "secret";
  for (const char* suffix : {".bytes", ".index"}) {
    Put("a", "bytes");
    std::ofstream(secret) << "secret";
    fs::remove(File(suffix));
    fs::create_symlink(secret, File(suffix));
    Restart();
    EXPECT_EQ(Get("a"), "(not here)") << suffix;
    Put("b", "of the new one");
    EXPECT_EQ(Get("b"), "of the new one");
    EXPECT_EQ(fs::file_size(secret), 6U);
    EXPECT_TRUE(shelf_->Remove(NameOf("b")));
  }
}

TEST_F(ShelfTest, AFileSystemThatMakesNoHolesIsSaidToBeNone) {
  const FileDescriptor context(fsopen("ramfs", FSOPEN_CLOEXEC));
  if (!context.valid()) GTEST_SKIP() << "needs the right to mount";
  ASSERT_EQ(fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), 0);
  const FileDescriptor mount(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  ASSERT_TRUE(mount.valid());
  Shelf shelf(mount.get(), "00", "the shelf", *sum_);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(shelf.Create(NameOf("a"), 1).error().code, Errc::kBusy);
  EXPECT_EQ(shelf.Open(NameOf("a")).error().code, Errc::kNotFound);
  EXPECT_NE(faccessat(mount.get(), "00.bytes", F_OK, 0), 0);
}

TEST_F(ShelfTest, AnyOrderOfCallsAndRestartsKeepsWhatAMapKeeps) {
  std::mt19937 chance(1);
  std::map<std::string, std::string> model;
  const auto random = [&](size_t below) {
    return std::uniform_int_distribution<size_t>(0, below - 1)(chance);
  };
  for (int step = 0; step < 3000; ++step) {
    const std::string object = std::to_string(random(40));
    switch (random(8)) {
      case 0:
      case 1:
      case 2: {
        std::string bytes(1 + random(20'000), static_cast<char>('a' + random(26)));
        Put(object, bytes);
        model[object] = std::move(bytes);
        break;
      }
      case 3:
        EXPECT_EQ(shelf_->Remove(NameOf(object)).value(), model.erase(object) == 1);
        break;
      case 4:
        EXPECT_EQ(shelf_->MarkUsed(NameOf(object)).value(), model.contains(object));
        break;
      case 5:
        if (random(20) == 0) Restart();
        if (random(20) == 0) Scanned(/*clean=*/true);
        if (random(20) == 0) {
          EXPECT_TRUE(shelf_->PutInOrder(random(2)));
        }
        break;
      default:
        ASSERT_EQ(Get(object), model.contains(object) ? model[object] : "(not here)") << step;
    }
  }
  uint64_t blocks = 0;
  for (const auto& [object, bytes] : model) {
    EXPECT_EQ(Get(object), bytes);
    blocks += ShelfPlace{0, static_cast<uint32_t>(bytes.size())}.block_count();
  }
  EXPECT_EQ(BlocksOnDisk(), blocks);
  EXPECT_EQ(Names().size(), model.size());
}

TEST_F(ShelfTest, ThreadsThatMakeTheSameObjectLeaveOnePlace) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([this] {
      for (int round = 0; round < 100; ++round) {
        const auto made = shelf_->Create(NameOf("a"), 4096);
        ASSERT_TRUE(made);
        const std::string bytes(4096, 'a');
        ASSERT_TRUE((*made)->WriteData(0, std::as_bytes(std::span(bytes))));
        ASSERT_TRUE((*made)->WriteMeta(0, std::as_bytes(std::span(bytes))));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Scanned().size(), 1U);
  EXPECT_EQ(BlocksOnDisk(), 2U);
}

TEST_F(ShelfTest, ThreadsThatMakeReadAndRemoveSideBySideSeeTheirOwnBytesOnly) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([this, i] {
      for (int round = 0; round < 200; ++round) {
        const std::string object = std::to_string(i) + "/" + std::to_string(round % 7);
        const std::string bytes = object + std::string(static_cast<size_t>(round) * 13 + 1, 'x');
        Put(object, bytes);
        EXPECT_EQ(Get(object), bytes);
        // Another's may be there or not, but is never half of one and half of another.
        const std::string other = std::to_string((i + 1) % kThreads) + "/3";
        const std::string seen = Get(other);
        EXPECT_TRUE(seen == "(not here)" || seen[0] == '\0' || seen.starts_with(other)) << seen;
        if (round % 3 == 0) {
          EXPECT_TRUE(shelf_->Remove(NameOf(object)).value());
        }
        EXPECT_TRUE(shelf_->MarkUsed(NameOf(other)));
        if (i == 0) {
          EXPECT_TRUE(shelf_->PutInOrder(shelf_->BlocksToPutInOrder()));
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  Scanned();
  uint64_t placed = 0;
  for (const auto& found : Scanned()) placed += found.block_count;
  struct stat index {};
  ASSERT_EQ(stat(File(".index").c_str(), &index), 0);
  EXPECT_LE(BlocksOnDisk(), placed + TreeBlocksFor(Scanned().size()));
  EXPECT_EQ(sum_->value(),
            TreeBlocksFor(Scanned().size()) + static_cast<uint64_t>(index.st_blocks) * 512 / 4096);
}

TEST_F(ShelfTest, AnIndexThatCannotBeReadIsGivenUpAfterSomeTrials) {
  Put("a", "bytes of a");
  Restart();
  // There is a descriptor for the bytes, and none for the index.
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next = dup(folder_.get());
  close(next);
  const rlimit scarce{static_cast<rlim_t>(next) + 1, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &scarce);
  std::vector<Errc> met;
  for (int i = 0; i < 4; ++i) met.push_back(shelf_->Open(NameOf("a")).error().code);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(met, ElementsAre(Errc::kUnreachable, Errc::kUnreachable, Errc::kUnreachable,
                               Errc::kNotFound));
  Put("a", "bytes of a");
  EXPECT_EQ(BytesOf(**shelf_->Open(NameOf("a"))), "bytes of a");
}

}  // namespace
}  // namespace shoal
