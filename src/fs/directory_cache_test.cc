#include "fs/directory_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/object_file_system_fixture.h"

namespace shoal {
namespace {

using ::testing::UnorderedElementsAre;

class DirectoryCacheTest : public ObjectFileSystemFixture {
 protected:
  void PutMany(const std::string& directory, int count) {
    for (int i = 0; i < count; ++i) store_.Put(directory + "/" + std::to_string(i), "x");
  }
  // The requests that opening the directory and reading it to its end costs; not those of
  // finding it.
  int ListingRequests(const std::string& directory) {
    const InodeId inode = Walk(directory)->attributes.inode;
    return RequestsOf([&] {
      const HandleId handle = *file_system_->OpenDirectory(inode);
      uint64_t cookie = 0;
      while (true) {
        const auto entries = file_system_->ReadDirectory(handle, cookie, 100, Soon());
        ASSERT_TRUE(entries);
        if (entries->empty()) break;
        cookie = entries->back().next_cookie;
      }
      file_system_->Release(handle);
    });
  }
};

TEST_F(DirectoryCacheTest, ADirectoryOpenedAgainIsShownFromItsKeptListing) {
  PutMany("d", 2500);
  Mount();
  EXPECT_EQ(ListingRequests("d"), 3);
  EXPECT_EQ(ListingRequests("d"), 0);
  EXPECT_EQ(ListPath("d")->size(), 2500u);
}

TEST_F(DirectoryCacheTest, ANewFileIsListedWhenTheDirectoryCacheWasCleared) {
  store_.Put("d/one", "1");
  Mount();
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one"));
  store_.Put("d/two", "2");
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one"));
  file_system_->ClearDirectoryCache();
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one", "two"));
}

TEST_F(DirectoryCacheTest, AListingIsKeptForItsTimeAndNoLonger) {
  store_.Put("d/one", "1");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  store_.Put("d/two", "2");
  clock_.Advance(std::chrono::seconds(3599));
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one"));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one", "two"));
}

TEST_F(DirectoryCacheTest, DisabledADirectoryIsListedEachTimeItIsOpened) {
  store_.Put("d/one", "1");
  Mount({.prefix = {}, .directory_cache = false});
  EXPECT_EQ(ListingRequests("d"), 1);
  store_.Put("d/two", "2");
  EXPECT_EQ(ListingRequests("d"), 1);
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one", "two"));
}

TEST_F(DirectoryCacheTest, PastTheEntryBoundTheListingUsedLeastRecentlyGoes) {
  for (const std::string directory : {"a", "b", "c"}) PutMany(directory, 40);
  Mount({.prefix = {}, .directory_cache_entry_count_max = 100});
  ListingRequests("a");
  ListingRequests("b");
  EXPECT_EQ(ListingRequests("a"), 0);  // used after b
  EXPECT_EQ(ListingRequests("c"), 1);
  EXPECT_EQ(ListingRequests("a"), 0);
  EXPECT_EQ(ListingRequests("c"), 0);
  EXPECT_EQ(ListingRequests("b"), 1);
}

TEST_F(DirectoryCacheTest, PastTheSizeBoundTheListingUsedLeastRecentlyGoes) {
  for (const std::string directory : {"a", "b", "c"})
    store_.Put(directory + "/" + std::string(1000, 'n'), "x");
  Mount({.prefix = {}, .directory_cache_size_bytes_max = 2 * 2200});
  for (const std::string directory : {"a", "b", "c"}) EXPECT_EQ(ListingRequests(directory), 1);
  EXPECT_EQ(ListingRequests("c"), 0);
  EXPECT_EQ(ListingRequests("b"), 0);
  EXPECT_EQ(ListingRequests("a"), 1);
}

TEST_F(DirectoryCacheTest, LimitsChangeWhileListingsAreKept) {
  for (const std::string directory : {"a", "b"}) PutMany(directory, 40);
  FileSystemOptions options;
  Mount(options);
  ListingRequests("a");
  ListingRequests("b");
  options.directory_cache_entry_count_max = 40;
  file_system_->SetDirectoryCacheLimits(LimitsOf(options));
  EXPECT_EQ(ListingRequests("b"), 0) << "used last";
  EXPECT_EQ(ListingRequests("a"), 1);

  options.directory_cache_valid_seconds = 10;
  file_system_->SetDirectoryCacheLimits(LimitsOf(options));
  clock_.Advance(std::chrono::seconds(11));
  EXPECT_EQ(ListingRequests("a"), 1);
}

TEST_F(DirectoryCacheTest, AListingOverABoundByItselfIsNotKeptAndPushesNoneOut) {
  PutMany("small", 50);
  PutMany("large", 101);
  Mount({.prefix = {}, .directory_cache_entry_count_max = 100});
  ListingRequests("small");
  EXPECT_EQ(ListingRequests("large"), 1);
  EXPECT_EQ(ListingRequests("large"), 1);
  EXPECT_EQ(ListingRequests("small"), 0);
}

TEST_F(DirectoryCacheTest, AListingThatWasNotReadToItsEndIsNotKept) {
  PutMany("d", 100);
  store_.set_page_keys_max(10);
  Mount();
  const HandleId handle = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
  store_.FailWith(Error{Errc::kUnreachable, "as told"});
  EXPECT_FALSE(file_system_->ReadDirectory(handle, 2, 5, Soon()));
  store_.FailWith(std::nullopt);
  file_system_->Release(handle);
  EXPECT_EQ(ListingRequests("d"), 10);
}

TEST_F(DirectoryCacheTest, AListingUnderWayWhenItIsClearedIsNotKept) {
  store_.Put("d/one", "1");
  Mount();
  const InodeId inode = Walk("d")->attributes.inode;
  hooked_store_.after_list = [&] {
    store_.Put("d/two", "2");
    file_system_->ClearDirectoryCache();
  };
  const HandleId handle = *file_system_->OpenDirectory(inode);
  EXPECT_EQ(file_system_->ReadDirectory(handle, 2, 10, Soon())->size(), 1u);
  EXPECT_EQ(file_system_->ReadDirectory(handle, 3, 10, Soon())->size(), 0u);
  hooked_store_.after_list = [] {};
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one", "two"));
}

TEST_F(DirectoryCacheTest, AHandleOpenedBeforeAClearGoesOnWithItsListing) {
  PutMany("d", 100);
  Mount();
  const HandleId handle = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
  ASSERT_EQ(file_system_->ReadDirectory(handle, 2, 50, Soon())->size(), 50u);
  store_.Delete("d/7");
  file_system_->ClearDirectoryCache();
  EXPECT_EQ(file_system_->ReadDirectory(handle, 52, 100, Soon())->size(), 50u);
  EXPECT_EQ(ListPath("d")->size(), 99u);
}

TEST_F(DirectoryCacheTest, ANewNameWorksAtOnceAndIsListedFromThenOn) {
  store_.Put("d/one", "1");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  store_.Put("d/two", "2");
  EXPECT_EQ(*ReadPath("d/two"), "2");
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("one", "two"));
}

TEST_F(DirectoryCacheTest, AListingThatAnOpenFindsWrongIsNotShownAgain) {
  store_.Put("d/file", "old");
  store_.Put("d/other", "x");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  store_.Put("d/file", "newer");
  EXPECT_EQ(*ReadPath("d/file"), "newer");
  EXPECT_EQ(ListingRequests("d"), 1);

  store_.Delete("d/file");
  EXPECT_EQ(OpenPath("d/file").error().code, Errc::kNotFound);
  EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("other"));
}

TEST_F(DirectoryCacheTest, AHandleOpenOnAListingFoundWrongDoesNotBringItBack) {
  store_.Put("d/file", "old");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const HandleId handle = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
  store_.Put("d/file", "newer");
  ASSERT_TRUE(OpenPath("d/file"));
  ASSERT_TRUE(file_system_->ReadDirectory(handle, 2, 10, Soon()));
  EXPECT_EQ(ListingRequests("d"), 1);
}

TEST_F(DirectoryCacheTest, WithoutTheMetadataCacheAFileThatTheKeptListingShowsIsAskedForAtOpen) {
  store_.Put("d/file", "old");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  clock_.Advance(std::chrono::seconds(60));
  ASSERT_TRUE(ListPath("d"));  // from the kept listing
  const InodeId directory = Walk("d")->attributes.inode;
  store_.Put("d/file", "newer");
  EXPECT_EQ(RequestsOf([&] {
              Result<Entry> entry = file_system_->Lookup(directory, "file", Soon());
              Result<OpenedFile> opened = file_system_->Open(entry->attributes.inode, Soon());
              ASSERT_EQ(opened.error().code, Errc::kChanged);
              entry = file_system_->Lookup(directory, "file", Soon());
              opened = file_system_->Open(entry->attributes.inode, Soon());
              EXPECT_EQ(*ReadAll(opened->handle, 5), "newer");
            }),
            1);
}

TEST_F(DirectoryCacheTest, LookingUpTheEntriesOfAKeptListingJustOpenedCostsNoRequest) {
  PutMany("d", 1000);
  Mount();
  ASSERT_TRUE(ListPath("d"));
  clock_.Advance(std::chrono::seconds(1800));
  ASSERT_TRUE(ListPath("d"));
  const InodeId directory = Walk("d")->attributes.inode;
  const auto look_up_all = [&] {
    for (int i = 0; i < 1000; ++i)
      ASSERT_TRUE(file_system_->Lookup(directory, std::to_string(i), Soon()));
  };
  EXPECT_EQ(RequestsOf(look_up_all), 0);
  clock_.Advance(std::chrono::seconds(6));
  EXPECT_EQ(RequestsOf(look_up_all), 1000) << "a HEAD each";
}

TEST_F(DirectoryCacheTest, WhatIsCountedGoesBackToNothing) {
  PutMany("d", 10);
  MemoryObjectStore& store = store_;
  ListingMemory memory(kMiB);
  ThreadPool pool("test-list", 4);
  DirectoryCache cache(
      clock_,
      {.entry_count_max = 10, .size_bytes_max = kMiB, .kept_for = std::chrono::seconds(10)});
  const auto listing = std::make_shared<DirectoryListing>(
      store, pool, clock_, memory, "d/", std::chrono::seconds(1), ListingBegin{.at = clock_.Now()});
  ASSERT_TRUE(listing->Read(0, 10, {}));
  EXPECT_GT(memory.used_bytes(), 10 * 40u);
  cache.Keep(listing);
  cache.Keep(listing);
  EXPECT_EQ(memory.used_bytes(), 0u) << "counted by the cache";
  EXPECT_EQ(cache.entry_count(), 10u);
  EXPECT_GT(cache.size_bytes(), 10 * 40u);
  EXPECT_EQ(cache.Find("d/"), listing);
  clock_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(cache.Find("d/"), nullptr);
  EXPECT_EQ(cache.entry_count(), 0u);
  EXPECT_EQ(cache.size_bytes(), 0u);
  EXPECT_GT(memory.used_bytes(), 10 * 40u);
}

}  // namespace
}  // namespace shoal
