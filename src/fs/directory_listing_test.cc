#include "fs/directory_listing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <random>
#include <thread>

#include "testing/fake_clock.h"
#include "testing/memory_object_store.h"

namespace shoal {
namespace {

constexpr int kPagesInTurn = 8;

class ForwardingStore : public ObjectStore {
 public:
  explicit ForwardingStore(ObjectStore& store) : store_(store) {}
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override {
    return store_.List(query, deadline);
  }
  Result<ObjectInfo> Head(std::string_view, Deadline) override { return Fail(Errc::kNotFound, ""); }
  Result<GetAnswer> Get(const ObjectVersion&, ByteRange, ByteSink&, Deadline) override {
    return {};
  }
  Result<BucketUsage> Usage(Deadline) override { return BucketUsage{}; }

 private:
  ObjectStore& store_;
};

// A store whose pages take some time, as the clock has it. After the first few, pages are
// answered once `together` of them were asked for at the same time.
class SlowStore final : public ForwardingStore {
 public:
  SlowStore(ObjectStore& store, FakeClock& clock, Duration page_time, size_t together)
      : ForwardingStore(store), clock_(clock), page_time_(page_time), together_(together) {}

  Result<ListPage> List(const ListQuery& query, Deadline deadline) override {
    std::unique_lock lock(mutex_);
    clock_.Advance(page_time_);
    ++under_way_;
    guesses_ = guesses_ || !query.after.empty();
    under_way_max_ = std::max(under_way_max_, under_way_);
    changed_.notify_all();
    const bool came =
        ++asked_ <= kPagesInTurn || changed_.wait_for(lock, std::chrono::seconds(30),
                                                      [&] { return under_way_max_ >= together_; });
    --under_way_;
    if (!came) return Fail(Errc::kTimedOut, "nobody else asks");
    return ForwardingStore::List(query, deadline);
  }

  size_t under_way_max() {
    const std::unique_lock lock(mutex_);
    return under_way_max_;
  }
  // Whether any page was asked for that does not follow one that came.
  bool guesses() {
    const std::unique_lock lock(mutex_);
    return guesses_;
  }

 private:
  FakeClock& clock_;
  const Duration page_time_;
  const size_t together_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  int asked_ = 0;
  size_t under_way_ = 0;
  size_t under_way_max_ = 0;
  bool guesses_ = false;
};

// A store that begins anew with each page, and says each time that there is more.
class CirclingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override {
    ASSIGN_OR_RETURN(ListPage page,
                     ForwardingStore::List({.prefix = query.prefix, .delimiter = "/"}, deadline));
    page.next = "token " + std::to_string(++page_count_);
    return page;
  }

 private:
  std::atomic<int> page_count_ = 0;
};

class DirectoryListingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 20'000; ++i) store_.Put("d/" + std::to_string(i), "x");
    for (int i = 0; i < 500; ++i) store_.Put("d/" + std::to_string(i) + "5/leaf", "x");
    store_.set_page_keys_max(500);
  }
  // The names that a reader is given, directories with their '/'.
  Result<std::vector<std::string>> ListAll(ObjectStore& store) {
    const auto listing = std::make_shared<DirectoryListing>(
        store, pool_, clock_, memory_, "d/", std::chrono::hours(1), ListingBegin{},
        [&](std::span<const ListedEntry> entries) { seen_ += entries.size(); });
    std::vector<std::string> names;
    while (true) {
      ASSIGN_OR_RETURN(const std::vector<ListedEntry> entries,
                       listing->Read(names.size(), 100, {}));
      if (entries.empty()) break;
      for (const ListedEntry& entry : entries)
        names.push_back(entry.name + (entry.is_directory ? "/" : ""));
    }
    EXPECT_EQ(listing->entry_count(), names.size());
    EXPECT_EQ(seen_, names.size());
    return names;
  }

  FakeClock clock_;
  MemoryObjectStore store_;
  ListingMemory memory_{1024 * kMiB};
  ListingMemory little_{1};  // 256 KiB for each
  size_t seen_ = 0;
  ThreadPool pool_{"test-list", 32};
};

TEST_F(DirectoryListingTest, ALargeDirectoryOfSlowPagesIsAskedForInManyPlacesAtOnce) {
  const std::vector<std::string> in_turn = *ListAll(store_);
  seen_ = 0;
  SlowStore slow(store_, clock_, std::chrono::milliseconds(60), 8);
  const Result<std::vector<std::string>> names = ListAll(slow);
  ASSERT_TRUE(names) << names.error().detail;
  EXPECT_EQ(*names, in_turn);
  EXPECT_EQ(names->size(), 20'001u);  // "05/" has no file beside it
  EXPECT_LE(slow.under_way_max(), 16u);
  EXPECT_TRUE(slow.guesses());
}

TEST_F(DirectoryListingTest, PagesThatGoRoundInACircleAreAnErrorAndNotALongListing) {
  CirclingStore circling(store_);
  const auto listing = std::make_shared<DirectoryListing>(circling, pool_, clock_, memory_, "d/",
                                                          std::chrono::hours(1), ListingBegin{});
  size_t count = 0;
  Result<std::vector<ListedEntry>> read;
  while (count < 20'000 && (read = listing->Read(count, 100, {})) && !read->empty())
    count += read->size();
  EXPECT_LE(count, 500u);  // of one page
  EXPECT_GT(count, 0u);
  // So it is each time somebody asks.
  for (int i = 0; i < 2; ++i) {
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::kUnreachable);
    EXPECT_TRUE(read.error().detail.starts_with(
        "ListObjects 'd/': answered wrongly: 'd/0' comes after 'd/1"))
        << read.error().detail;
    read = listing->Read(count, 100, {});
  }
  EXPECT_EQ(listing->entry_count(), count);
}

TEST_F(DirectoryListingTest, APageThatNobodyWaitsForAnyMoreWhenItsTurnComesIsNotAskedFor) {
  std::promise<void> at_work;
  std::promise<void> go_on;
  ThreadPool pool("test-one", 1);
  pool.Run([&] {
    at_work.set_value();
    go_on.get_future().wait();
  });
  at_work.get_future().wait();
  const auto listing = std::make_shared<DirectoryListing>(store_, pool, clock_, memory_, "d/05/",
                                                          std::chrono::seconds(5), ListingBegin{});
  EXPECT_EQ(listing->Read(0, 100, {.at = Instant{}}).error().code, Errc::kTimedOut);
  clock_.Advance(std::chrono::seconds(5));
  std::promise<void> all_run;
  pool.Run([&] { all_run.set_value(); });
  go_on.set_value();
  all_run.get_future().wait();
  EXPECT_EQ(store_.calls().list, 0);
  // Who comes then has it asked for.
  EXPECT_EQ(listing->Read(0, 100, {})->size(), 1u);
}

TEST_F(DirectoryListingTest, TheTimeThatAPageWaitsForItsTurnIsOfItsDeadline) {
  class Noting final : public ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    Result<ListPage> List(const ListQuery& query, Deadline deadline) override {
      noted.set_value(deadline);
      return ForwardingStore::List(query, deadline);
    }
    std::promise<Deadline> noted;
  } noting(store_);
  std::promise<void> go_on;
  ThreadPool pool("test-one", 1);
  pool.Run([&] { go_on.get_future().wait(); });
  const auto listing = std::make_shared<DirectoryListing>(noting, pool, clock_, memory_, "d/05/",
                                                          std::chrono::seconds(5), ListingBegin{});
  EXPECT_FALSE(listing->Read(0, 1, {.at = Instant{}}));
  clock_.Advance(std::chrono::seconds(3));
  go_on.set_value();
  EXPECT_EQ(noting.noted.get_future().get().Remaining(clock_), std::chrono::seconds(2));
}

class ShortOfMemory : public DirectoryListingTest {
 protected:
  // Keys that pages end among, of which each begins the next: the merger holds them back.
  void SetUp() override { Fill(""); }
  void Fill(const std::string& padding) {
    for (int i = 0; i < 400; ++i) {
      const std::string name = "d/" + std::to_string(1000 + i) + padding;
      for (const char* end : {"", "!", "!!", "!!/x", "!0", "/x", "/y", "0"})
        if (chance_() % 4 != 0) store_.Put(name + end, std::string(chance_() % 9, 'x'));
    }
    store_.set_page_keys_max(7);
  }
  std::shared_ptr<DirectoryListing> Begin(ListingMemory& memory) {
    return Begin(memory, store_, pool_);
  }
  std::shared_ptr<DirectoryListing> Begin(ListingMemory& memory, ObjectStore& store,
                                          ThreadPool& pool) {
    return std::make_shared<DirectoryListing>(store, pool, clock_, memory, "d/",
                                              std::chrono::hours(1), ListingBegin{});
  }
  static std::vector<ListedEntry> ReadAll(DirectoryListing& listing) {
    std::vector<ListedEntry> all;
    while (true) {
      const Result<std::vector<ListedEntry>> entries = listing.Read(all.size(), 10, {});
      EXPECT_TRUE(entries);
      if (!entries || entries->empty()) return all;
      all.insert(all.end(), entries->begin(), entries->end());
    }
  }
  static void ExpectPart(const std::vector<ListedEntry>& part, const std::vector<ListedEntry>& all,
                         size_t from) {
    for (size_t i = 0; i < part.size(); ++i) {
      ASSERT_LT(from + i, all.size());
      EXPECT_EQ(part[i].name, all[from + i].name);
      EXPECT_EQ(part[i].is_directory, all[from + i].is_directory);
      EXPECT_EQ(part[i].object.version, all[from + i].object.version);
    }
  }

  std::mt19937 chance_{7};
};

TEST_F(ShortOfMemory, WhatWasReadIsLetGoOfAndNothingElse) {
  const std::shared_ptr<DirectoryListing> whole = Begin(memory_);
  const std::vector<ListedEntry> all = ReadAll(*whole);
  ASSERT_GT(all.size(), 1500u);
  EXPECT_TRUE(whole->complete());
  EXPECT_EQ(whole->IndexOf(all.front().name), 0u);
  EXPECT_GT(memory_.used_bytes(), all.size() * 32);

  // More than the 2,000 entries that are fetched ahead of a reader.
  for (int i = 2000; i < 9000; ++i) store_.Put(fmt::format("d/z{}{:n<200}", i, ""), "x");
  const std::shared_ptr<DirectoryListing> part = Begin(little_);
  std::vector<ListedEntry> read;
  size_t most_bytes = 0;
  while (true) {
    const std::vector<ListedEntry> entries = *part->Read(read.size(), 10, {});
    for (size_t i = 0; i < entries.size(); ++i) {
      const std::optional<ListedEntry> entry = part->EntryAt(read.size() + i);
      EXPECT_TRUE(entry && entry->object.version == entries[i].object.version);
      EXPECT_TRUE(part->Find(entries[i].name));
    }
    most_bytes = std::max(most_bytes, part->memory_bytes());
    if (entries.empty()) break;
    read.insert(read.end(), entries.begin(), entries.end());
  }
  ExpectPart(std::vector(read.begin(), read.begin() + 1500), all, 0);
  EXPECT_EQ(read.size(), all.size() + 7000);
  EXPECT_EQ(part->entry_count(), read.size());
  EXPECT_FALSE(part->complete()) << "it is not to be kept";
  EXPECT_EQ(part->EntryAt(0), std::nullopt);
  EXPECT_EQ(part->IndexOf(read.front().name), std::nullopt);
  const std::shared_ptr<DirectoryListing> again = Begin(memory_);
  ReadAll(*again);
  EXPECT_LT(most_bytes * 2, again->memory_bytes());
}

TEST_F(ShortOfMemory, WhoGoesBackIsGivenTheSameEntriesOnceMore) {
  const std::vector<ListedEntry> all = ReadAll(*Begin(memory_));
  for (const bool slowly : {false, true}) {
    SlowStore slow(store_, clock_, std::chrono::milliseconds(slowly ? 60 : 1), 1);
    ThreadPool pool("test-slow", 32);
    const std::shared_ptr<DirectoryListing> listing = Begin(little_, slow, pool);
    for (int i = 0; i < 300; ++i) {
      const size_t from = chance_() % (all.size() + 10);
      const Result<std::vector<ListedEntry>> entries = listing->Read(from, 1 + chance_() % 50, {});
      ASSERT_TRUE(entries) << entries.error().detail;
      EXPECT_EQ(entries->empty(), from >= all.size());
      ExpectPart(*entries, all, from);
    }
    ExpectPart(ReadAll(*listing), all, 0);
    EXPECT_EQ(listing->entry_count(), all.size());
  }
}

TEST_F(ShortOfMemory, WhoGoesBackWhileManyPagesAreOnTheirWayIsGivenTheSameEntries) {
  Fill(std::string(900, 'n'));
  const std::vector<ListedEntry> all = ReadAll(*Begin(memory_));
  SlowStore slow(store_, clock_, std::chrono::milliseconds(60), 4);
  ListingMemory memory(9 * kMiB);  // enough to ask for many pages, too little to hold all
  ListingMemory::Share others(memory);
  ThreadPool pool("test-slow", 32);
  ReadAll(*Begin(memory, slow, pool));
  EXPECT_GE(slow.under_way_max(), 4u);
  size_t gone_back_count = 0;
  for (int round = 0; round < 20; ++round) {
    const auto listing = std::make_shared<DirectoryListing>(
        slow, pool, clock_, memory, "d/", std::chrono::hours(1), ListingBegin{},
        [seen_at_once = std::make_shared<std::atomic<int>>(0)](auto entries) {
          if (entries.empty() || ++*seen_at_once != 1) ADD_FAILURE();
          --*seen_at_once;
        });
    others.Set(9 * kMiB);
    ASSERT_TRUE(listing->Read(all.size() * 4 / 5, 1, {}));
    for (int i = 0; i < 10; ++i) {
      others.Set(chance_() % 3 == 0 ? 9 * kMiB : 0);
      const size_t from = chance_() % all.size();
      gone_back_count += from < listing->entry_count() && !listing->EntryAt(from);
      const Result<std::vector<ListedEntry>> entries = listing->Read(from, 1 + chance_() % 50, {});
      ASSERT_TRUE(entries) << entries.error().detail;
      EXPECT_FALSE(entries->empty());
      ExpectPart(*entries, all, from);
    }
  }
  EXPECT_GT(gone_back_count, 20u);
}

TEST_F(ShortOfMemory, AListingThatIsShortIsWholeWhateverTheOthersTake) {
  for (int i = 0; i < 4000; ++i) store_.Put("d/z" + std::to_string(i), "x");
  ListingMemory memory(64 * kMiB);
  ListingMemory::Share others(memory);
  others.Set(64 * kMiB);
  ThreadPool pool("test-list", 4);
  const std::shared_ptr<DirectoryListing> listing = Begin(memory, store_, pool);
  ReadAll(*listing);
  EXPECT_TRUE(listing->complete());
}

TEST_F(ShortOfMemory, GoingBackBeginsNearAndNotAtTheStart) {
  store_.set_page_keys_max(2);  // so that there are more pages than places to go back to
  for (int i = 2000; i < 9000; ++i) store_.Put("d/" + std::to_string(i), "x");
  const std::shared_ptr<DirectoryListing> listing = Begin(little_);
  const std::vector<ListedEntry> all = ReadAll(*listing);
  EXPECT_LE(listing->memory_bytes(), 448 * kKiB) << "those places are few";
  const int asked = store_.calls().list;
  ASSERT_TRUE(listing->Read(all.size() - 2500, 1, {}));
  ASSERT_TRUE(listing->Read(all.size() - 1, 1, {}));
  EXPECT_LT(store_.calls().list - asked, asked / 2);
  ExpectPart(*listing->Read(0, 10, {}), all, 0);
}

TEST_F(ShortOfMemory, SlowPagesAreAskedForOneAtATime) {
  SlowStore slow(store_, clock_, std::chrono::milliseconds(60), 1);
  ThreadPool pool("test-slow", 32);
  ReadAll(*Begin(little_, slow, pool));
  EXPECT_FALSE(slow.guesses());
}

TEST_F(ShortOfMemory, ManyReadersOfOneListingAreEachGivenWhatTheyAskFor) {
  const std::vector<ListedEntry> all = ReadAll(*Begin(memory_));
  const std::shared_ptr<DirectoryListing> listing = Begin(little_);
  std::vector<std::thread> readers;
  for (unsigned reader = 0; reader < 4; ++reader)
    readers.emplace_back([&, reader] {
      std::mt19937 chance(reader);
      for (int i = 0; i < 50; ++i) {
        const size_t from = chance() % all.size();
        const Result<std::vector<ListedEntry>> entries = listing->Read(from, 20, {});
        ASSERT_TRUE(entries) << entries.error().detail;
        ExpectPart(*entries, all, from);
      }
    });
  for (std::thread& reader : readers) reader.join();
}

TEST_F(DirectoryListingTest, PagesThatComeFastAreAskedForOneAfterTheOther) {
  SlowStore fast(store_, clock_, std::chrono::milliseconds(1), 1);
  ASSERT_TRUE(ListAll(fast));
  EXPECT_FALSE(fast.guesses());
}

}  // namespace
}  // namespace shoal
