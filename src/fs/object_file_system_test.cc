#include "fs/object_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <set>

#include "fs/errno.h"
#include "testing/object_file_system_fixture.h"

namespace shoal {
namespace {

using ::testing::UnorderedElementsAre;

using ObjectFileSystemTest = ObjectFileSystemFixture;

TEST_F(ObjectFileSystemTest, ShowsFilesMarkersAndImpliedDirectories) {
  store_.Put("file", "12345");
  store_.Put("marked/", "");
  store_.Put("implied/deep/leaf", "x");
  Mount();
  EXPECT_THAT(*ListPath(""), UnorderedElementsAre("file", "marked/", "implied/"));
  EXPECT_THAT(*ListPath("marked"), UnorderedElementsAre());
  EXPECT_THAT(*ListPath("implied/deep"), UnorderedElementsAre("leaf"));
  EXPECT_EQ(Walk("file")->attributes.size_bytes, 5u);
  EXPECT_TRUE(Walk("marked")->attributes.is_directory);
  EXPECT_EQ(Walk("nothing").error().code, Errc::kNotFound);
}

TEST_F(ObjectFileSystemTest, ALinkHasTheSizeAndTheBytesOfItsTargetAlthoughItsListingSaysOtherwise) {
  store_.Put("target", "12345");
  store_.Link("d/link", "target");
  for (const bool believes : {false, true}) {
    Mount({.metadata_cache = believes});
    EXPECT_THAT(*ListPath("d"), UnorderedElementsAre("link"));
    EXPECT_EQ(Walk("d/link")->attributes.size_bytes, 5u) << believes;
    EXPECT_EQ(*ReadPath("d/link"), "12345") << believes;
  }
}

TEST_F(ObjectFileSystemTest, AListingGivesTheNameOfALinkAloneAndIsKept) {
  store_.Put("target", "12345");
  store_.Link("d/link", "target");
  Mount();
  const InodeId directory = Walk("d")->attributes.inode;
  const HandleId handle = file_system_->OpenDirectory(directory).value();
  const std::vector<DirectoryEntry> entries = *file_system_->ReadDirectory(handle, 2, 7, Soon());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(file_system_->Remember(handle, entries[0]), 0u);
  ASSERT_TRUE(file_system_->ReadDirectory(handle, 3, 7, Soon()));
  file_system_->Release(handle);
  ASSERT_TRUE(Walk("d/link"));
  EXPECT_EQ(RequestsOf([&] {
              EXPECT_TRUE(file_system_->ReadDirectory(*file_system_->OpenDirectory(directory), 2, 7,
                                                      Soon()));
            }),
            0);
}

TEST_F(ObjectFileSystemTest, ShowsOnlyWhatIsBelowItsPrefix) {
  store_.Put("models/a/weights", "w");
  store_.Put("other", "o");
  Mount({.prefix = "models/"});
  EXPECT_THAT(*ListPath(""), UnorderedElementsAre("a/"));
  EXPECT_EQ(Walk("other").error().code, Errc::kNotFound);
  EXPECT_EQ(*ReadAll(*OpenPath("a/weights"), 1), "w");
}

TEST_F(ObjectFileSystemTest, ADirectoryHidesTheFileOfItsName) {
  store_.Put("a/b", "file");
  store_.Put("a/b/c", "leaf");
  Mount();
  EXPECT_TRUE(Walk("a/b")->attributes.is_directory);
  EXPECT_THAT(*ListPath("a"), UnorderedElementsAre("b/"));
  EXPECT_EQ(*ReadAll(*OpenPath("a/b/c"), 4), "leaf");
}

TEST_F(ObjectFileSystemTest, AnOpenOfAPathNobodyListedCostsOneHead) {
  store_.Put("file", "12345");
  Mount();
  store_.ResetCalls();
  ASSERT_TRUE(OpenPath("file"));
  EXPECT_EQ(store_.calls().head, 1);
}

TEST_F(ObjectFileSystemTest, AnOpenOfAListedFileCostsOneHeadAndItsLookupNothing) {
  store_.Put("d/file", "12345");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const InodeId directory = Walk("d")->attributes.inode;
  store_.ResetCalls();
  const Result<Entry> entry = file_system_->Lookup(directory, "file", Soon());
  EXPECT_EQ(store_.calls().head + store_.calls().list, 0);
  ASSERT_TRUE(file_system_->Open(entry->attributes.inode, Soon()));
  EXPECT_EQ(store_.calls().head, 1);
  EXPECT_EQ(store_.calls().list, 0);
}

TEST_F(ObjectFileSystemTest, LookingUpEveryEntryOfAListingCostsNoRequest) {
  for (int i = 0; i < 5000; ++i) store_.Put("d/" + std::to_string(i), "x");
  Mount();
  const InodeId directory = Walk("d")->attributes.inode;
  store_.ResetCalls();
  EXPECT_EQ(ListPath("d")->size(), 5000u);
  EXPECT_LE(store_.calls().list, 6);  // 5 pages, and the look-up of d itself
  EXPECT_LE(store_.calls().head, 1);
  store_.ResetCalls();
  for (int i = 0; i < 5000; ++i)
    ASSERT_TRUE(file_system_->Lookup(directory, std::to_string(i), Soon()));
  EXPECT_EQ(store_.calls().head + store_.calls().list, 0);
}

TEST_F(ObjectFileSystemTest, OfTheLongestKeyNothingBelowIsAskedForAndOfLongerOnesNothingAtAll) {
  for (const uint64_t longest : {1023, 1024}) {
    const std::string name(longest - 2, 'n');
    store_.Put("d/" + name, "x");
    store_.Put("d/" + name.substr(1), "x");
    Mount({.key_bytes_max = longest});
    const InodeId directory = Walk("d")->attributes.inode;
    store_.ResetCalls();
    EXPECT_TRUE(file_system_->Lookup(directory, name, Soon()));
    EXPECT_EQ(store_.calls().head, 1);
    EXPECT_EQ(store_.calls().list, 0);
    EXPECT_TRUE(file_system_->Lookup(directory, name.substr(1), Soon()));
    EXPECT_EQ(store_.calls().list, 1) << "one more byte, its slash, is a key yet";
    store_.ResetCalls();
    EXPECT_EQ(file_system_->Lookup(directory, name + "n", Soon()).error().code, Errc::kNotFound);
    EXPECT_EQ(store_.calls().head + store_.calls().list, 0);
  }
}

TEST_F(ObjectFileSystemTest, AReplacedObjectIsSeenByTheNextOpen) {
  store_.Put("file", "old");
  Mount();
  const HandleId old_handle = *OpenPath("file");
  store_.Put("file", "newer");
  const Result<HandleId> handle = OpenPath("file");
  ASSERT_TRUE(handle);
  EXPECT_EQ(*ReadAll(*handle, 5), "newer");
  EXPECT_EQ(ReadAll(old_handle, 3).error().code, Errc::kChanged);
}

// The kernel may go from a name it still trusts straight to OPEN; told ESTALE, it looks
// the name up again and opens what it finds.
TEST_F(ObjectFileSystemTest, OpeningTheInodeOfAReplacedObjectSaysChangedAndTheNextLookupHasTheNew) {
  store_.Put("d/file", "old");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const InodeId directory = Walk("d")->attributes.inode;
  const InodeId old_inode = file_system_->Lookup(directory, "file", Soon())->attributes.inode;
  store_.Put("d/file", "newer");
  EXPECT_EQ(file_system_->Open(old_inode, Soon()).error().code, Errc::kChanged);
  store_.ResetCalls();
  const Result<Entry> entry = file_system_->Lookup(directory, "file", Soon());
  EXPECT_NE(entry->attributes.inode, old_inode);
  const Result<OpenedFile> opened = file_system_->Open(entry->attributes.inode, Soon());
  ASSERT_TRUE(opened);
  EXPECT_EQ(store_.calls().head, 0) << "the refused open had asked already";
  EXPECT_EQ(*ReadAll(opened->handle, 5), "newer");
}

TEST_F(ObjectFileSystemTest, WhatARefusedOpenLearntIsOfNoUseToALaterOpen) {
  store_.Put("d/file", "old");
  Mount();
  const InodeId directory = Walk("d")->attributes.inode;
  const InodeId old_inode = file_system_->Lookup(directory, "file", Soon())->attributes.inode;
  store_.Put("d/file", "newer");
  clock_.Advance(std::chrono::seconds(2));  // past what the look-up learnt
  EXPECT_EQ(file_system_->Open(old_inode, Soon()).error().code, Errc::kChanged);
  store_.Put("d/file", "newest");
  clock_.Advance(std::chrono::milliseconds(100));  // whoever it was does not try again
  const Result<Entry> entry = file_system_->Lookup(directory, "file", Soon());
  const Result<OpenedFile> opened = file_system_->Open(entry->attributes.inode, Soon());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kChanged) << "and the kernel looks it up once more";
}

TEST_F(ObjectFileSystemTest, AStatDoesNotLetALaterOpenSkipItsHead) {
  store_.Put("file", "old");
  Mount();
  ASSERT_TRUE(Walk("file"));  // stat(2): asks
  store_.Put("file", "newer");
  // open(2): its look-up is answered from what stat learnt, so its OPEN has to ask.
  const Result<Entry> entry = Walk("file");
  ASSERT_TRUE(entry);
  EXPECT_EQ(file_system_->Open(entry->attributes.inode, Soon()).error().code, Errc::kChanged);
}

TEST_F(ObjectFileSystemTest, InodeNumbersAreTheSameAfterARemountAndDifferForAChangedObject) {
  store_.Put("a/file", "1");
  Mount();
  const InodeId before = Walk("a/file")->attributes.inode;
  const InodeId directory_before = Walk("a")->attributes.inode;
  Mount();
  EXPECT_EQ(Walk("a/file")->attributes.inode, before);
  EXPECT_EQ(Walk("a")->attributes.inode, directory_before);
  store_.Put("a/file", "2");
  clock_.Advance(std::chrono::seconds(20));
  EXPECT_NE(Walk("a/file")->attributes.inode, before);
}

TEST_F(ObjectFileSystemTest, AListingIsTrustedForSecondsOnly) {
  store_.Put("d/file", "old");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const InodeId directory = Walk("d")->attributes.inode;
  store_.Put("d/file", "newer");
  EXPECT_EQ(file_system_->Lookup(directory, "file", Soon())->attributes.size_bytes, 3u);
  clock_.Advance(std::chrono::seconds(6));
  EXPECT_EQ(file_system_->Lookup(directory, "file", Soon())->attributes.size_bytes, 5u);
}

TEST_F(ObjectFileSystemTest, ArchivedObjectsAreListedAndRefuseToOpen) {
  store_.Put("cold", "x", StorageClass::kDeepColdArchive);
  Mount();
  EXPECT_THAT(*ListPath(""), UnorderedElementsAre("cold"));
  const Result<HandleId> handle = OpenPath("cold");
  ASSERT_FALSE(handle);
  EXPECT_EQ(handle.error().code, Errc::kArchived);
  EXPECT_EQ(ToErrno(handle.error().code), EACCES);
  EXPECT_NE(handle.error().detail.find("Deep Cold Archive"), std::string::npos);
}

TEST_F(ObjectFileSystemTest, AnObjectRestoredSinceItWasListedOpens) {
  store_.Put("cold", "x", StorageClass::kArchive);
  Mount();
  ASSERT_TRUE(ListPath(""));
  const Result<Entry> entry = Walk("cold");
  // A restore changes the class a HEAD reports, not the object.
  MemoryObjectStore restored;
  restored.Put("cold", "x");
  const auto again = MakeObjectFileSystem({}, restored, engine_, clock_, hand_over_, metrics_);
  const Result<Entry> found = again->Lookup(kRootInode, "cold", Soon());
  EXPECT_EQ(found->attributes.inode, entry->attributes.inode);
  EXPECT_TRUE(again->Open(found->attributes.inode, Soon()));
}

TEST_F(ObjectFileSystemTest, AnObjectRestoredSinceItWasLookedUpOpensAtOnce) {
  store_.Put("cold", "x", StorageClass::kArchive);
  Mount();
  const Entry cold = *Walk("cold");
  store_.PutAgain("cold", cold.attributes.modified_unix_seconds);
  EXPECT_TRUE(file_system_->Open(cold.attributes.inode, Soon()));
}

TEST_F(ObjectFileSystemTest, AnObjectArchivedSinceItWasLookedUpRefusesToOpen) {
  store_.Put("file", "x");
  Mount();
  const Entry readable = *Walk("file");
  store_.PutAgain("file", readable.attributes.modified_unix_seconds, StorageClass::kArchive);
  clock_.Advance(std::chrono::seconds(20));
  const Result<HandleId> handle = OpenPath("file");  // its look-up asks, and its open need not
  ASSERT_FALSE(handle);
  EXPECT_EQ(handle.error().code, Errc::kArchived);
}

TEST_F(ObjectFileSystemTest, TheSameBytesUploadedAgainHaveTheNewTimeAndTheSameInode) {
  constexpr int64_t kNewTime = 1'800'000'000;
  store_.Put("d/file", "bytes");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const Entry directory = *Walk("d");
  const Entry before = *Walk("d/file");
  store_.PutAgain("d/file", kNewTime);
  clock_.Advance(std::chrono::seconds(20));
  const Entry after = *Walk("d/file");
  EXPECT_EQ(after.attributes.modified_unix_seconds, kNewTime);
  EXPECT_EQ(after.attributes.inode, before.attributes.inode);
  EXPECT_EQ(file_system_->GetAttributes(before.attributes.inode)->attributes.modified_unix_seconds,
            kNewTime);
  // The kept listing has the old time, and is not shown any more.
  const HandleId handle = *file_system_->OpenDirectory(directory.attributes.inode);
  const std::vector<DirectoryEntry> listed = *file_system_->ReadDirectory(handle, 2, 10, Soon());
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].entry.attributes.modified_unix_seconds, kNewTime);
}

// An answer to OPEN has no attributes: the kernel takes them from the look-up that ESTALE brings.
TEST_F(ObjectFileSystemTest, AnOpenThatMeetsAnotherTimeHasTheNameLookedUpAgain) {
  constexpr int64_t kNewTime = 1'800'000'000;
  for (const bool believing : {false, true}) {
    store_.Put("d/file", "bytes");
    Mount({.metadata_cache = believing});
    const Entry directory = *Walk("d");
    const InodeId inode = Walk("d/file")->attributes.inode;
    store_.PutAgain("d/file", kNewTime);
    clock_.Advance(std::chrono::seconds(20));
    if (believing) {  // until it is told to forget
      EXPECT_TRUE(file_system_->Open(inode, Soon()));
      file_system_->ClearMetadataCache();
    }
    EXPECT_EQ(file_system_->Open(inode, Soon()).error().code, Errc::kChanged);
    store_.ResetCalls();
    const Result<Entry> entry = file_system_->Lookup(directory.attributes.inode, "file", Soon());
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->attributes.inode, inode);
    EXPECT_EQ(entry->attributes.modified_unix_seconds, kNewTime);
    EXPECT_TRUE(file_system_->Open(inode, Soon()));
    EXPECT_EQ(store_.calls().head, 0) << "the refused open had asked already";
  }
}

TEST_F(ObjectFileSystemTest, ATimeThatTheStoreRoundsInOneKindOfAnswerIsNoChange) {
  store_.Put("d/file", "bytes");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const InodeId directory = Walk("d")->attributes.inode;
  const Entry listed = *Walk("d/file");
  store_.PutAgain("d/file", listed.attributes.modified_unix_seconds + 1);
  EXPECT_TRUE(file_system_->Open(listed.attributes.inode, Soon()));
  store_.ResetCalls();
  EXPECT_TRUE(file_system_->ReadDirectory(*file_system_->OpenDirectory(directory), 2, 10, Soon()));
  EXPECT_EQ(store_.calls().list, 0) << "the listing is still right";
}

TEST_F(ObjectFileSystemTest, AnUnreachableOriginIsNeverTakenForAMissingFile) {
  store_.Put("file", "x");
  Mount();
  for (const Errc code : {Errc::kUnreachable, Errc::kTimedOut, Errc::kDenied, Errc::kBusy}) {
    store_.FailWith(Error{code, "as told"});
    EXPECT_EQ(Walk("file").error().code, code);
    EXPECT_EQ(ListPath("").error().code, code);
    clock_.Advance(std::chrono::seconds(1));
  }
  store_.FailWith(std::nullopt);
  EXPECT_TRUE(Walk("file")) << "and it comes back by itself";
}

// Of a HEAD nobody can tell whose 404 it is: a proxy's, or of a bucket that is gone.
TEST_F(ObjectFileSystemTest, AnOpenBelievesThatAFileIsGoneOnlyIfTheStoreCanBeListed) {
  store_.Put("d/file", "x");
  Mount();
  const InodeId file = Walk("d/file")->attributes.inode;
  clock_.Advance(std::chrono::seconds(2));  // past what the look-up learnt
  store_.Delete("d/file");
  hooked_store_.after_head = [this] { store_.FailWith(Error{Errc::kUnusable, "as told"}); };
  EXPECT_EQ(file_system_->Open(file, Soon()).error().code, Errc::kUnusable);
  hooked_store_.after_head = [] {};
  store_.FailWith(std::nullopt);
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(file_system_->Open(file, Soon()).error().code, Errc::kNotFound);
}

TEST_F(ObjectFileSystemTest, ADirectoryIsThereThoughItsListingBeginsWithAPageWithoutKeys) {
  store_.Put("d/file", "body");
  store_.set_begins_with_empty_page(true);
  Mount();
  const Result<Entry> directory = Walk("d");
  ASSERT_TRUE(directory) << directory.error().detail;
  EXPECT_TRUE(directory->attributes.is_directory);
  EXPECT_TRUE(OpenPath("d/file"));
}

TEST_F(ObjectFileSystemTest, ALookupThatTheStoreFailedToAnswerIsNotAskedAgainForASecond) {
  store_.Put("file", "x");
  store_.Put("other", "x");
  Mount();
  store_.FailWith(Error{Errc::kTimedOut, "as told"});
  EXPECT_EQ(Walk("file").error().code, Errc::kTimedOut);
  store_.FailWith(std::nullopt);
  EXPECT_TRUE(Walk("other"));
  for (int i = 0; i < 9; ++i) {
    clock_.Advance(std::chrono::milliseconds(100));
    EXPECT_EQ(RequestsOf([&] { EXPECT_EQ(Walk("file").error().code, Errc::kTimedOut); }), 0);
    // It waits for no thread either.
    EXPECT_TRUE(file_system_->LookupIfKnown(kRootInode, "file"));
  }
  clock_.Advance(std::chrono::milliseconds(100));
  EXPECT_TRUE(Walk("file"));
}

TEST_F(ObjectFileSystemTest, NorIsAnOpen) {
  store_.Put("file", "x");
  Mount();
  const InodeId inode = Walk("file")->attributes.inode;
  clock_.Advance(std::chrono::seconds(100));
  store_.FailWith(Error{Errc::kUnreachable, "as told"});
  EXPECT_EQ(file_system_->Open(inode, Soon()).error().code, Errc::kUnreachable);
  store_.FailWith(std::nullopt);
  EXPECT_EQ(RequestsOf([&] {
              EXPECT_EQ(file_system_->Open(inode, Soon()).error().code, Errc::kUnreachable);
            }),
            0);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(file_system_->Open(inode, Soon()));
}

TEST_F(ObjectFileSystemTest, ALookupWhoseDirectoryHalfHangsEndsByItsDeadline) {
  store_.Put("file", "x");
  Mount();
  std::promise<void> let_go;
  hooked_store_.after_list = [until = let_go.get_future().share()] { until.wait(); };
  const Deadline deadline = Deadline::After(clock_, std::chrono::milliseconds(50));
  auto found = std::async(std::launch::async,
                          [&] { return file_system_->Lookup(kRootInode, "file", deadline); });
  EXPECT_EQ(found.wait_for(std::chrono::seconds(5)), std::future_status::ready);
  let_go.set_value();
  const Result<Entry> entry = found.get();
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().code, Errc::kTimedOut);
}

TEST_F(ObjectFileSystemTest, AListingThatFailedInTheMiddleGoesOnWhereItStopped) {
  for (int i = 0; i < 100; ++i) store_.Put("d/" + std::to_string(i), "x");
  store_.set_page_keys_max(10);
  Mount();
  const HandleId handle = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
  std::set<std::string> names;
  uint64_t cookie = 0;
  bool failed = false;
  while (true) {
    store_.FailWith(names.size() > 40 && !failed
                        ? std::optional(Error{Errc::kUnreachable, "as told"})
                        : std::nullopt);
    const auto entries = file_system_->ReadDirectory(handle, cookie, 3, Soon());
    if (!entries) {
      failed = true;
      continue;
    }
    if (entries->empty()) break;
    for (const DirectoryEntry& entry : *entries) {
      EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " came twice";
      cookie = entry.next_cookie;
    }
  }
  EXPECT_EQ(names.size(), 102u);
}

// The kept listing says that no directory is in its place.
TEST_F(ObjectFileSystemTest, AListedFileOpensWithOneHeadHoweverLongAgoItWasListed) {
  store_.Put("d/file", "bytes");
  store_.Put("d/gone", "bytes");
  Mount();
  ASSERT_TRUE(ListPath("d"));
  const InodeId directory = Walk("d")->attributes.inode;
  clock_.Advance(std::chrono::minutes(5));
  EXPECT_EQ(RequestsOf([&] {
              const Result<Entry> file = file_system_->Lookup(directory, "file", Soon());
              ASSERT_TRUE(file);
              EXPECT_TRUE(file_system_->Open(file->attributes.inode, Soon()));
            }),
            1);
  store_.Delete("d/gone");
  store_.Put("d/gone/below", "bytes");
  clock_.Advance(std::chrono::minutes(5));
  EXPECT_TRUE(file_system_->Lookup(directory, "gone", Soon())->attributes.is_directory);
}

TEST_F(ObjectFileSystemTest, ADirectoryReadFromItsStartAgainShowsWhatOpeningItWould) {
  store_.Put("d/a", "x");
  Mount({.directory_cache = false});
  const HandleId handle = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
  const auto names = [&] {
    std::vector<std::string> out;
    for (uint64_t cookie = 0;;) {
      const auto entries = file_system_->ReadDirectory(handle, cookie, 10, Soon());
      if (!entries || entries->empty()) return out;
      for (const DirectoryEntry& entry : *entries) {
        out.push_back(entry.name);
        cookie = entry.next_cookie;
      }
    }
  };
  EXPECT_EQ(names(), (std::vector<std::string>{".", "..", "a"}));
  store_.Put("d/b", "x");
  EXPECT_EQ(names(), (std::vector<std::string>{".", "..", "a", "b"}));
}

TEST_F(ObjectFileSystemTest, StatfsShowsTheBucketsUseAndNeverWaitsForIt) {
  store_.set_usage({.stored_bytes = 123'000'000, .object_count = 7});
  Mount();
  Usage usage;
  while ((usage = file_system_->GetUsage()).object_count == 0) std::this_thread::yield();
  EXPECT_EQ(usage.used_bytes, 123'000'000u);
  EXPECT_EQ(usage.object_count, 7u);
  EXPECT_GT(usage.total_bytes, usage.used_bytes);
  EXPECT_EQ(store_.calls().usage, 1);
}

TEST_F(ObjectFileSystemTest, AForgottenInodeIsGoneAndItsNameStillWorks) {
  store_.Put("file", "x");
  Mount();
  const InodeId inode = Walk("file")->attributes.inode;
  file_system_->Forget(inode, 1);
  EXPECT_EQ(file_system_->GetAttributes(inode).error().code, Errc::kChanged);
  EXPECT_TRUE(Walk("file"));
}

TEST_F(ObjectFileSystemTest, ManyThreadsListingLookingUpAndOpeningAgree) {
  for (int i = 0; i < 300; ++i) store_.Put("d/" + std::to_string(i), std::to_string(i));
  store_.set_page_keys_max(50);
  Mount();
  std::vector<std::future<void>> threads;
  for (int t = 0; t < 8; ++t)
    threads.push_back(std::async(std::launch::async, [&, t] {
      for (int round = 0; round < 20; ++round) {
        EXPECT_EQ(ListPath("d")->size(), 300u);
        const std::string name = std::to_string((t * 37 + round * 11) % 300);
        const Result<HandleId> handle = OpenPath("d/" + name);
        ASSERT_TRUE(handle);
        EXPECT_EQ(*ReadAll(*handle, name.size()), name);
        file_system_->Release(*handle);
      }
    }));
}

}  // namespace
}  // namespace shoal
