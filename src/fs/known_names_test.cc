// The metadata cache as a reader of the file system meets it, and the table of data
// consistency that the specification has: metadata cache off and on, files updated and new.
#include "fs/known_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "testing/object_file_system_fixture.h"

namespace shoal {
namespace {

using ::testing::UnorderedElementsAre;

class KnownNamesTest : public ObjectFileSystemFixture {
 protected:
  void MountBelieving() { Mount({.prefix = {}, .metadata_cache = true}); }
  Entry LookUp(const std::string& directory, const std::string& name) {
    return *file_system_->Lookup(Walk(directory)->attributes.inode, name, Soon());
  }
};

using DataConsistencyTest = KnownNamesTest;

TEST_F(DataConsistencyTest, MetadataCacheOffAnUpdatedFileIsSeenWhenItIsReopened) {
  store_.Put("d/file", "old");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const HandleId handle = *OpenPath("d/file");
  store_.Put("d/file", "newer");
  EXPECT_EQ(ReadAll(handle, 3).error().code, Errc::kChanged);
  EXPECT_EQ(*ReadPath("d/file"), "newer");
}

TEST_F(KnownNamesTest, LookUpsAreAnsweredFromAsManyListingsAsThereIsMemoryFor) {
  const std::string names = "abcde";
  for (const char directory : names)
    for (int i = 0; i < 100; ++i) store_.Put(directory + ("/" + std::to_string(i)), "x");
  for (const uint64_t listing_bytes_max : {kMiB, 16 * kKiB}) {
    Mount({.prefix = {}, .listing_bytes_max = listing_bytes_max, .directory_cache = false});
    std::vector<InodeId> directories;
    for (const char directory : names)
      directories.push_back(Walk(std::string(1, directory))->attributes.inode);
    const auto are_known = [&](size_t count) {
      return RequestsOf([&] {
               for (size_t i = 0; i < count; ++i)
                 EXPECT_TRUE(file_system_->Lookup(directories[i], "7", Soon()));
             }) == 0;
    };
    std::vector<HandleId> open;
    for (size_t i = 0; i < 4; ++i) {
      open.push_back(*file_system_->OpenDirectory(directories[i]));
      ASSERT_TRUE(file_system_->ReadDirectory(open.back(), 2, 10, Soon()));
    }
    EXPECT_TRUE(are_known(4)) << "those that are open, in any case";
    for (const size_t i : {1, 2, 3}) file_system_->Release(open[i]);
    EXPECT_TRUE(file_system_->OpenDirectory(directories[4]));
    EXPECT_TRUE(are_known(1));
    EXPECT_EQ(are_known(2), listing_bytes_max == kMiB);
  }
}

TEST_F(DataConsistencyTest, MetadataCacheOffANewFileIsSeenWhenTheDirectoryCacheWasCleared) {
  store_.Put("d/one", "1");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  store_.Put("d/two", "2");
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one"));
  file_system_->ClearMetadataCache();
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one"));
  file_system_->ClearDirectoryCache();
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one", "two"));
}

TEST_F(DataConsistencyTest,
       MetadataCacheOnAnUpdatedFileIsSeenWhenThatWasClearedAndTheFileReopened) {
  store_.Put("d/file", "old");
  MountBelieving();
  ASSERT_TRUE(ListPath("d"));
  EXPECT_EQ(*ReadPath("d/file"), "old");
  store_.Put("d/file", "newer");
  ASSERT_TRUE(OpenPath("d/file"));
  EXPECT_EQ(Walk("d/file")->attributes.size_bytes, 3u);
  file_system_->ClearDirectoryCache();
  EXPECT_EQ(Walk("d/file")->attributes.size_bytes, 3u);
  file_system_->ClearMetadataCache();
  EXPECT_EQ(*ReadPath("d/file"), "newer");
}

TEST_F(DataConsistencyTest, MetadataCacheOnANewFileIsSeenWhenBothWereCleared) {
  store_.Put("d/one", "1");
  MountBelieving();
  ASSERT_TRUE(ListPath("d"));
  EXPECT_EQ(OpenPath("d/two").error().code, Errc::kNotFound);
  store_.Put("d/two", "2");
  EXPECT_EQ(OpenPath("d/two").error().code, Errc::kNotFound);
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one"));
  file_system_->ClearDirectoryCache();
  file_system_->ClearMetadataCache();
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one", "two"));
  EXPECT_EQ(*ReadPath("d/two"), "2");
}

// Clearing the metadata cache alone leaves the listing, which then speaks for itself only.
TEST_F(DataConsistencyTest, AListingOlderThanTheLastClearOfTheMetadataAnswersNoLookUp) {
  store_.Put("d/one", "old");
  MountBelieving();
  ASSERT_TRUE(ListPath("d"));
  store_.Put("d/one", "newer");
  store_.Put("d/two", "2");
  file_system_->ClearMetadataCache();
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one"));
  EXPECT_EQ(*ReadPath("d/two"), "2");
  EXPECT_EQ(*ReadPath("d/one"), "newer");
}

TEST_F(KnownNamesTest, ANameThatAnOpenFoundMissingIsNotLookedUpInTheListingAnyMore) {
  store_.Put("d/file", "old");
  store_.Put("d/other", "1");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const Entry listed = LookUp("d", "file");
  store_.Delete("d/file");
  EXPECT_EQ(file_system_->Open(listed.attributes.inode, Soon()).error().code, Errc::kNotFound);
  EXPECT_EQ(Walk("d/file").error().code, Errc::kNotFound);
}

TEST_F(KnownNamesTest, NamesThatAListingBroughtAreLookedUpAndOpenedWithoutARequest) {
  for (int i = 0; i < 1500; ++i) store_.Put("d/" + std::to_string(i), "x");
  store_.Put("d/deep/file", "y");
  MountBelieving();
  ASSERT_TRUE(ListPath("d"));
  clock_.Advance(std::chrono::hours(50));
  EXPECT_EQ(RequestsOf([&] {
              for (int i = 0; i < 1500; ++i) ASSERT_TRUE(OpenPath("d/" + std::to_string(i)));
              ASSERT_TRUE(Walk("d/deep"));
            }),
            0);
}

TEST_F(KnownNamesTest, KnownOpensAndLookUpsDoNotWait) {
  store_.Put("d/file", "x");
  MountBelieving();
  const InodeId directory = Walk("d")->attributes.inode;
  EXPECT_FALSE(file_system_->LookupIfKnown(directory, "file"));
  const InodeId file = file_system_->Lookup(directory, "file", Soon())->attributes.inode;
  EXPECT_EQ((*file_system_->LookupIfKnown(directory, "file"))->attributes.inode, file);
  EXPECT_TRUE(file_system_->OpenIfKnown(file)->has_value());
  EXPECT_EQ(file_system_->OpenIfKnown(directory)->error().code, Errc::kIsDirectory);
  file_system_->ClearMetadataCache();
  EXPECT_FALSE(file_system_->LookupIfKnown(directory, "file"));
  EXPECT_FALSE(file_system_->OpenIfKnown(file));
}

TEST_F(KnownNamesTest, ANameThatIsMissingIsAskedForOnce) {
  store_.Put("d/file", "x");
  MountBelieving();
  EXPECT_EQ(OpenPath("d/absent").error().code, Errc::kNotFound);
  EXPECT_EQ(RequestsOf([&] { EXPECT_EQ(Walk("d/absent").error().code, Errc::kNotFound); }), 0);
  clock_.Advance(std::chrono::seconds(3600));
  EXPECT_GT(RequestsOf([&] { EXPECT_EQ(Walk("d/absent").error().code, Errc::kNotFound); }), 0);
}

TEST_F(KnownNamesTest, ANameThatAWholeListingLacksIsNotAskedFor) {
  store_.Put("d/file", "x");
  MountBelieving();
  ASSERT_TRUE(ListPath("d"));
  EXPECT_EQ(RequestsOf([&] { EXPECT_EQ(Walk("d/absent").error().code, Errc::kNotFound); }), 0);
  file_system_->ClearDirectoryCache();
  EXPECT_GT(RequestsOf([&] { EXPECT_EQ(Walk("d/absent").error().code, Errc::kNotFound); }), 0);
}

TEST_F(KnownNamesTest, AReadThatFindsTheObjectReplacedMakesTheNextOpenAsk) {
  store_.Put("d/file", "old");
  MountBelieving();
  ASSERT_TRUE(ListPath("d"));
  store_.Put("d/file", "newer");
  const HandleId handle = *OpenPath("d/file");
  EXPECT_EQ(ReadAll(handle, 3).error().code, Errc::kChanged);
  EXPECT_EQ(*ReadPath("d/file"), "newer");
  EXPECT_EQ(RequestsOf([&] { ASSERT_TRUE(OpenPath("d/file")); }), 0);
}

TEST_F(KnownNamesTest, AnOpenByAnInodeKnownToBeReplacedAsksOnceAndThenHasTheNewOne) {
  store_.Put("d/file", "old");
  MountBelieving();
  const InodeId old_inode = LookUp("d", "file").attributes.inode;
  store_.Put("d/file", "newer");
  file_system_->ClearMetadataCache();
  EXPECT_EQ(RequestsOf([&] {
              EXPECT_EQ(file_system_->Open(old_inode, Soon()).error().code, Errc::kChanged);
            }),
            1);
  const InodeId directory = Walk("d")->attributes.inode;
  EXPECT_EQ(RequestsOf([&] {
              const Entry entry = *file_system_->Lookup(directory, "file", Soon());
              EXPECT_NE(entry.attributes.inode, old_inode);
              EXPECT_TRUE(file_system_->OpenIfKnown(entry.attributes.inode)->has_value());
            }),
            0);
}

TEST_F(KnownNamesTest, NamesAreValidForVeryLongWithTheMetadataCacheAndForSecondsWithout) {
  store_.Put("d/file", "x");
  store_.Put("d/deep/file", "x");
  const auto validities = [&] {
    std::vector<Duration> out{LookUp("d", "file").name_valid_for,
                              LookUp("d", "deep").name_valid_for};
    const HandleId handle = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
    const auto entries = file_system_->ReadDirectory(handle, 2, 10, Soon());
    for (const DirectoryEntry& entry : *entries) out.push_back(entry.entry.name_valid_for);
    return out;
  };
  using std::chrono::seconds;
  Mount();
  EXPECT_EQ(validities(),
            (std::vector<Duration>{seconds(0), seconds(10), seconds(10), seconds(1)}));
  MountBelieving();
  EXPECT_EQ(validities(), std::vector<Duration>(4, kForEver));
}

TEST_F(KnownNamesTest, AnAnswerOnItsWayWhenTheCacheIsClearedIsNeitherKeptNorValidForLong) {
  store_.Put("d/file", "old");
  MountBelieving();
  const InodeId directory = Walk("d")->attributes.inode;
  hooked_store_.after_head = [&] {
    store_.Put("d/file", "newer");
    file_system_->ClearMetadataCache();
  };
  EXPECT_EQ(file_system_->Lookup(directory, "file", Soon())->name_valid_for, Duration::zero());
  hooked_store_.after_head = [] {};
  EXPECT_EQ(LookUp("d", "file").attributes.size_bytes, 5u);
}

TEST_F(KnownNamesTest, AListingOnItsWayWhenTheCacheIsClearedGivesNoNameForLong) {
  store_.Put("d/file", "old");
  MountBelieving();
  const InodeId directory = Walk("d")->attributes.inode;
  const HandleId handle = *file_system_->OpenDirectory(directory);
  hooked_store_.after_list = [&] {
    store_.Put("d/file", "newer");
    file_system_->ClearMetadataCache();
  };
  const auto entries = file_system_->ReadDirectory(handle, 2, 10, Soon());
  hooked_store_.after_list = [] {};
  EXPECT_EQ(entries->at(0).entry.name_valid_for, std::chrono::seconds(1));
  EXPECT_EQ(LookUp("d", "file").attributes.size_bytes, 5u);
}

TEST_F(KnownNamesTest, HowLongTheKernelMayBelieveAListedNameChangesAtOnce) {
  store_.Put("d/file", "x");
  MountBelieving();
  const HandleId handle = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
  file_system_->ClearMetadataCache();
  for (const Duration valid_for : {std::chrono::seconds(7), std::chrono::seconds(0)}) {
    file_system_->SetListedNameValidFor(valid_for);
    EXPECT_EQ(file_system_->ReadDirectory(handle, 2, 10, Soon())->at(0).entry.name_valid_for,
              valid_for);
  }
}

TEST_F(KnownNamesTest, ArchivedObjectsAreAskedForAtEachOpenSoThatARestoreShows) {
  store_.Put("cold", "x", StorageClass::kArchive);
  MountBelieving();
  ASSERT_TRUE(ListPath(""));
  EXPECT_EQ(OpenPath("cold").error().code, Errc::kArchived);
  EXPECT_EQ(RequestsOf([&] { EXPECT_EQ(OpenPath("cold").error().code, Errc::kArchived); }), 1);
}

TEST_F(KnownNamesTest, AStoreThatIsGoneIsNotTakenForAMissingName) {
  store_.Put("d/file", "x");
  MountBelieving();
  ASSERT_TRUE(Walk("d"));
  store_.FailWith(Error{Errc::kUnreachable, "as told"});
  EXPECT_EQ(Walk("d/file").error().code, Errc::kUnreachable);
  store_.FailWith(std::nullopt);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(Walk("d/file"));
}

TEST_F(KnownNamesTest, ManyThreadsLookingUpOpeningListingAndClearingAgree) {
  for (int i = 0; i < 300; ++i) store_.Put("d/" + std::to_string(i), std::to_string(i));
  store_.set_page_keys_max(50);
  MountBelieving();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 20; ++round) {
        const std::string name = std::to_string((t * 37 + round * 11) % 300);
        EXPECT_EQ(*ReadPath("d/" + name), name);
        EXPECT_EQ(ListPath("d")->size(), 300u);
        EXPECT_EQ(Walk("d/absent").error().code, Errc::kNotFound);
        if (t == 0) file_system_->ClearMetadataCache();
        if (t == 1) file_system_->ClearDirectoryCache();
      }
    });
}

}  // namespace
}  // namespace shoal
