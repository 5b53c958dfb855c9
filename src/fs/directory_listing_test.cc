#include "fs/directory_listing.h"

#include <gtest/gtest.h>

#include <condition_variable>

#include "testing/fake_clock.h"
#include "testing/memory_object_store.h"

namespace shoal {
namespace {

constexpr int kPagesInTurn = 8;

// A store whose pages take some time, as the clock has it. After the first few, pages are
// answered once `together` of them were asked for at the same time.
class SlowStore final : public ObjectStore {
 public:
  SlowStore(ObjectStore& store, FakeClock& clock, Duration page_time, size_t together)
      : store_(store), clock_(clock), page_time_(page_time), together_(together) {}

  Result<ListPage> List(const ListQuery& query, Deadline deadline) override {
    std::unique_lock lock(mutex_);
    clock_.Advance(page_time_);
    ++under_way_;
    under_way_max_ = std::max(under_way_max_, under_way_);
    changed_.notify_all();
    const bool came =
        ++asked_ <= kPagesInTurn || changed_.wait_for(lock, std::chrono::seconds(30),
                                                      [&] { return under_way_max_ >= together_; });
    --under_way_;
    if (!came) return Fail(Errc::kTimedOut, "nobody else asks");
    return store_.List(query, deadline);
  }
  Result<ObjectInfo> Head(std::string_view, Deadline) override { return Fail(Errc::kNotFound, ""); }
  Result<> Get(const ObjectVersion&, ByteRange, ByteSink&, Deadline) override { return {}; }
  Result<BucketUsage> Usage(Deadline) override { return BucketUsage{}; }

  size_t under_way_max() {
    const std::unique_lock lock(mutex_);
    return under_way_max_;
  }

 private:
  ObjectStore& store_;
  FakeClock& clock_;
  const Duration page_time_;
  const size_t together_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  int asked_ = 0;
  size_t under_way_ = 0;
  size_t under_way_max_ = 0;
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
        store, pool_, clock_, "d/", std::chrono::hours(1), ListingBegin{},
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
}

TEST_F(DirectoryListingTest, PagesThatComeFastAreAskedForOneAfterTheOther) {
  SlowStore fast(store_, clock_, std::chrono::milliseconds(1), 1);
  ASSERT_TRUE(ListAll(fast));
  EXPECT_EQ(fast.under_way_max(), 1u);
}

}  // namespace
}  // namespace shoal
