// What a cache directory keeps (cache_directory.h), and what is not opened as one
// (open_cache_directory.h).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/file_descriptor.h"
#include "cache/memory_medium.h"
#include "cache/open_cache_directory.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const ObjectDigest kName = ObjectDigest::Of("an object");

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text));
}

class CacheDirectoryTest : public ::testing::Test {
 protected:
  std::unique_ptr<CacheStorage> Open() {
    auto storage = OpenCacheDirectory(outside_.path(), {});
    EXPECT_TRUE(storage) << storage.error().detail;
    return *std::move(storage);
  }
  fs::path Root() const { return outside_.path() / "shoal-cache"; }
  fs::path File(const std::string& suffix) const {
    return Root() / kName.Hex().substr(0, 2) / (kName.Hex() + suffix);
  }
  void CreateSample(CacheStorage& storage) {
    auto object = storage.Create(kName, 10);
    ASSERT_TRUE(object);
    ASSERT_TRUE((*object)->WriteData(0, BytesOf("0123456789")));
    ASSERT_TRUE((*object)->WriteMeta(0, BytesOf("meta")));
  }
  static std::string ReadAll(StoredObject& object, size_t length) {
    std::string out(length, '\0');
    EXPECT_TRUE(object.ReadData(0, std::as_writable_bytes(std::span(out))));
    return out;
  }
  static std::vector<ObjectDigest> Scanned(CacheStorage& storage) {
    std::vector<ObjectDigest> names;
    EXPECT_TRUE(storage.ScanAndClean([&](const CacheStorage::Found& found) {
      names.push_back(found.name);
      return true;
    }));
    return names;
  }

  TemporaryDirectory outside_;
};

TEST_F(CacheDirectoryTest, WhatIsWrittenIsThereAfterOpeningAgain) {
  CreateSample(*Open());
  const auto storage = Open();
  auto object = storage->Open(kName);
  ASSERT_TRUE(object);
  EXPECT_EQ(ReadAll(**object, 10), "0123456789");
  EXPECT_EQ(*(*object)->DataBytes(), 10);
  EXPECT_EQ(*(*object)->BlockCount(), 2);
  EXPECT_THAT(Scanned(*storage), ::testing::ElementsAre(kName));
  ASSERT_TRUE((*object)->WriteData(0, BytesOf("X"))) << "an object that was there is written on";
  EXPECT_EQ(ReadAll(**object, 10), "X123456789");
}

TEST_F(CacheDirectoryTest, WhoHasAnObjectOpenReadsOnWhenItIsRemovedOrMadeAnew) {
  const auto storage = Open();
  CreateSample(*storage);
  auto old = storage->Open(kName);
  ASSERT_TRUE(old);
  auto fresh = storage->Create(kName, 10);
  ASSERT_TRUE(fresh);
  EXPECT_EQ(ReadAll(**old, 10), "0123456789");
  EXPECT_EQ(ReadAll(**fresh, 10), std::string(10, '\0'));
  ASSERT_TRUE(storage->Remove(kName));
  EXPECT_EQ(storage->Open(kName).error().code, Errc::kNotFound);
  EXPECT_EQ(ReadAll(**old, 10), "0123456789");
}

TEST_F(CacheDirectoryTest, WhatIsRemovedGivesBackItsRoomAtOnce) {
  const auto storage = Open();
  CreateSample(*storage);
  const FileDescriptor name_only(open(File(".data").c_str(), O_PATH | O_CLOEXEC));
  ASSERT_TRUE(name_only.valid());
  ASSERT_TRUE(storage->Remove(kName));
  struct stat gone {};
  ASSERT_EQ(fstat(name_only.get(), &gone), 0);
  EXPECT_EQ(gone.st_size, 0) << "and not only when the file system comes to it";
}

// As when it is evicted while somebody looks.
TEST_F(CacheDirectoryTest, AnObjectThatIsJustBeingRemovedIsNotHere) {
  const auto storage = Open();
  CreateSample(*storage);
  const auto on_sigio = signal(SIGIO, SIG_IGN);
  {
    const FileDescriptor remover(open(File(".data").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(fcntl(remover.get(), F_SETLEASE, F_WRLCK), 0);
    EXPECT_EQ(storage->Open(kName).error().code, Errc::kNotFound);
  }
  signal(SIGIO, on_sigio);
  EXPECT_TRUE(storage->Open(kName));
}

TEST_F(CacheDirectoryTest, DroppedPagesAreReadFromTheMediumUnlessSomebodyMapsThem) {
  const auto storage = Open();
  CreateSample(*storage);
  auto object = storage->Open(kName);
  ASSERT_TRUE(object);
  std::string now(10, '\0');
  const auto is_in_memory = [&] {
    return (*object)->ReadDataNow(0, std::as_writable_bytes(std::span(now)));
  };
  EXPECT_TRUE(is_in_memory());
  ASSERT_TRUE((*object)->DropPages(/*waits=*/true)) << "though it was not written out yet";
  EXPECT_FALSE(is_in_memory());
  EXPECT_EQ(ReadAll(**object, 10), "0123456789");

  void* const mapped = mmap(nullptr, 10, PROT_READ, MAP_SHARED, (*object)->data_fd(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(*static_cast<const volatile char*>(mapped), '0');
  EXPECT_FALSE((*object)->DropPages(/*waits=*/true));
  ASSERT_EQ(munmap(mapped, 10), 0);
  EXPECT_TRUE((*object)->DropPages(/*waits=*/false));
  EXPECT_FALSE(is_in_memory());
}

TEST_F(CacheDirectoryTest, BelongsToItsUserAlone) {
  Open();
  EXPECT_EQ(fs::status(Root()).permissions(), fs::perms::owner_all);
  fs::permissions(Root(), fs::perms::all);
  Open();
  EXPECT_EQ(fs::status(Root()).permissions(), fs::perms::owner_all);
}

TEST_F(CacheDirectoryTest, OfAnotherUserIsRefused) {
  fs::create_directory(Root());
  ASSERT_EQ(chown(Root().c_str(), 65534, 65534), 0);
  EXPECT_EQ(OpenCacheDirectory(outside_.path(), {}).error().code, Errc::kDenied);
}

TEST_F(CacheDirectoryTest, IsNeverALinkToSomewhereElse) {
  TemporaryDirectory elsewhere;
  fs::create_directory_symlink(elsewhere.path(), Root());
  EXPECT_EQ(OpenCacheDirectory(outside_.path(), {}).error().code, Errc::kInvalid);
  EXPECT_TRUE(fs::is_empty(elsewhere.path()));
}

TEST_F(CacheDirectoryTest, WithADirectoryInAFilesPlaceIsNoMatterOfTheMedium) {
  for (const char* const file : {"lock", "FORMAT"}) {
    Open();
    fs::remove(Root() / file);
    fs::create_directory(Root() / file);
    EXPECT_EQ(OpenCacheDirectory(outside_.path(), {}).error().code, Errc::kInvalid) << file;
    fs::remove(Root() / file);
  }
}

// A process that does what is asked of it, and then waits to be ended.
class Process {
 public:
  explicit Process(const std::function<char()>& deed) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    process_ = fork();
    if (process_ == 0) {
      const char answer = deed();
      (void)!write(ends[1], &answer, 1);
      pause();
      _exit(0);
    }
    close(ends[1]);
    EXPECT_EQ(read(ends[0], &answer_, 1), 1);
    close(ends[0]);
  }
  ~Process() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  [[nodiscard]] char answer() const { return answer_; }

 private:
  pid_t process_ = 0;
  char answer_ = '?';
};

TEST_F(CacheDirectoryTest, IsOneMountsAtATime) {
  std::unique_ptr<CacheStorage> storage;
  const Process other([&] {
    storage = Open();
    return 'o';
  });
  const auto second = OpenCacheDirectory(outside_.path(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kBusy);
  EXPECT_THAT(second.error().detail, HasSubstr("another mount"));
}

TEST_F(CacheDirectoryTest, TheProcessThatServedBeforeIsToldFromAnotherMount) {
  std::unique_ptr<CacheStorage> storage;
  const Process before([&] {
    storage = Open();
    return 'o';
  });
  const Process after([&] {
    const auto opened = OpenCacheDirectory(outside_.path(), {});
    return !opened && opened.error().code == Errc::kTimedOut ? 'o' : 'x';
  });
  EXPECT_EQ(after.answer(), 'o');
}

TEST_F(CacheDirectoryTest, UsedByThisProcessAlreadyIsNoOtherMounts) {
  const auto storage = Open();
  const auto second = OpenCacheDirectory(outside_.path(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kInvalid);
  EXPECT_THAT(second.error().detail, HasSubstr("named twice"));
}

TEST_F(CacheDirectoryTest, AFormatThatIsDamagedIsWrittenAnewAndCostsNothing) {
  for (const std::string_view damaged :
       {std::string_view("shoal ca"), std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 14),
        std::string_view("shoal cachE 2\n"), std::string_view("shoal cache 2"),
        std::string_view("shoal cache 2\nand more\n"), std::string_view("shoal cache -1\n"),
        std::string_view("shoal cache \n")}) {
    CreateSample(*Open());
    std::ofstream(Root() / "FORMAT") << damaged;
    auto object = Open()->Open(kName);
    ASSERT_TRUE(object) << damaged;
    EXPECT_EQ(ReadAll(**object, 10), "0123456789");
    std::stringstream now;
    now << std::ifstream(Root() / "FORMAT").rdbuf();
    EXPECT_EQ(now.str(), "shoal cache 2\n");
  }
}

TEST_F(CacheDirectoryTest, OfAnotherVersionIsRefusedAndLeftAlone) {
  CreateSample(*Open());
  std::ofstream(Root() / "FORMAT") << "shoal cache 3\n";
  EXPECT_EQ(OpenCacheDirectory(outside_.path(), {}).error().code, Errc::kInvalid);
  EXPECT_TRUE(fs::exists(File(".data")));
}

TEST_F(CacheDirectoryTest, LinksPlantedInTheFilesPlacesLeadNowhere) {
  TemporaryDirectory elsewhere;
  const fs::path secret = elsewhere.path() / "secret";
  for (const std::string suffix : {".data", ".meta"}) {
    std::ofstream(secret) << "0123456789";
    const auto storage = Open();
    CreateSample(*storage);
    fs::remove(File(suffix));
    fs::create_symlink(secret, File(suffix));
    EXPECT_EQ(storage->Open(kName).error().code, Errc::kNotFound) << suffix;
    EXPECT_FALSE(fs::is_symlink(File(suffix))) << suffix;
    CreateSample(*storage);
    fs::remove(File(suffix));
    fs::create_hard_link(secret, File(suffix));
    EXPECT_EQ(storage->Open(kName).error().code, Errc::kNotFound) << suffix;
    CreateSample(*storage);
    std::string text;
    std::ifstream(secret) >> text;
    EXPECT_EQ(text, "0123456789") << suffix;
    ASSERT_TRUE(storage->Remove(kName));
  }
}

TEST_F(CacheDirectoryTest, AFolderThatIsALinkLeadsNowhere) {
  TemporaryDirectory elsewhere;
  Open();
  fs::create_directory_symlink(elsewhere.path(), File("").parent_path());
  EXPECT_FALSE(Open()->Create(kName, 10));
  EXPECT_TRUE(fs::is_empty(elsewhere.path()));
}

TEST_F(CacheDirectoryTest, AScanRemovesAFolderThatIsALinkAndFindsWhatIsInTheOthers) {
  TemporaryDirectory elsewhere;
  CreateSample(*Open());
  const fs::path link = Root() / "00";
  ASSERT_NE(File("").parent_path(), link);
  fs::create_directory_symlink(elsewhere.path(), link);
  EXPECT_THAT(Scanned(*Open()), ::testing::ElementsAre(kName));
  EXPECT_FALSE(fs::is_symlink(link));
  EXPECT_TRUE(fs::exists(elsewhere.path()));
}

TEST_F(CacheDirectoryTest, AnEmptyDirectoryInAFilesPlaceIsRemoved) {
  for (const std::string suffix : {".data", ".meta"}) {
    const auto storage = Open();
    CreateSample(*storage);
    fs::remove(File(suffix));
    fs::create_directory(File(suffix));
    EXPECT_EQ(storage->Open(kName).error().code, Errc::kNotFound) << suffix;
    CreateSample(*storage);
    EXPECT_TRUE(storage->Open(kName)) << suffix;
    ASSERT_TRUE(storage->Remove(kName));
  }
}

TEST_F(CacheDirectoryTest, APipeInAFilesPlaceHoldsNobodyUp) {
  const auto storage = Open();
  CreateSample(*storage);
  fs::remove(File(".data"));
  ASSERT_EQ(mkfifo(File(".data").c_str(), 0600), 0);
  EXPECT_FALSE(storage->Open(kName));
}

TEST_F(CacheDirectoryTest, ScanRemovesWhatIsNotOfAnObject) {
  const auto storage = Open();
  CreateSample(*storage);
  const fs::path folder = File("").parent_path();
  const auto make_empty = [&](const std::string& name) { std::ofstream file(folder / name); };
  make_empty("stray");
  make_empty(std::string(32, 'f') + ".data");  // of another folder
  const ObjectDigest half{{kName.words[0], 1}};
  make_empty(half.Hex() + ".data");  // its meta was never written
  EXPECT_THAT(Scanned(*storage), ::testing::ElementsAre(kName));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 2);
}

TEST_F(CacheDirectoryTest, WhatIsPutAsideGivesWayToASmallerCapacityWhenRoomIsAskedFor) {
  const auto storage = Open();
  auto object = storage->Create(kName, kMiB);
  ASSERT_TRUE(object);
  ASSERT_TRUE((*object)->WriteData(0, std::vector<std::byte>(kMiB, std::byte{7})));
  ASSERT_TRUE(storage->Quarantine(kName));
  EXPECT_GE(storage->own_block_count(), kMiB / kCacheBlockBytes);
  ASSERT_TRUE(storage->Resize(8 * kMiB));
  ASSERT_TRUE(storage->GetRoom());
  EXPECT_LT(storage->own_block_count(), kMiB / kCacheBlockBytes);
}

TEST_F(CacheDirectoryTest, OfWhatIsPutAsideAFewAreKept) {
  const auto storage = Open();
  for (int i = 0; i < 20; ++i) {
    const ObjectDigest name = ObjectDigest::Of(std::to_string(i));
    ASSERT_TRUE(storage->Create(name, 1));
    ASSERT_TRUE(storage->Quarantine(name));
    EXPECT_EQ(storage->Open(name).error().code, Errc::kNotFound);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(Root() / "quarantine"), fs::directory_iterator()),
            16);
}

TEST_F(CacheDirectoryTest, MemoryIsAStorageLikeAnyOther) {
  auto made = OpenMemoryStorage(*MakeMemoryMedium(), {.capacity_bytes = kMiB});
  ASSERT_TRUE(made) << made.error().detail;
  CreateSample(**made);
  auto object = (*made)->Open(kName);
  ASSERT_TRUE(object);
  EXPECT_EQ(ReadAll(**object, 10), "0123456789");
  std::string now(10, '\0');
  EXPECT_TRUE((*object)->ReadDataNow(0, std::as_writable_bytes(std::span(now))));
  EXPECT_EQ(now, "0123456789");
}

}  // namespace
}  // namespace shoal
