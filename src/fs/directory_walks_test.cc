#include "fs/directory_walks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "base/thread_pool.h"
#include "fs/inode_table.h"
#include "testing/fake_clock.h"
#include "testing/memory_object_store.h"

namespace shoal {
namespace {

// Says what it was asked to foresee, and what of that is still held. Thread-safe.
class NotingEngine final : public ReadEngine {
 public:
  std::shared_ptr<ObjectReader> Open(const ObjectVersion&) override { return nullptr; }
  std::shared_ptr<ObjectReader> Foresee(const ObjectVersion& version) override {
    const std::lock_guard lock(mutex_);
    if (held_.size() >= room_) return nullptr;
    ++foreseen_[version.key];
    held_.insert(version.key);
    return std::make_shared<Reader>(*this, version.key);
  }

  void SetMemory(uint64_t) override {}
  void SetFetchCountMax(uint64_t) override {}

  void set_room(size_t count) {
    const std::lock_guard lock(mutex_);
    room_ = count;
  }
  // How often each was.
  std::map<std::string, int> foreseen() {
    const std::lock_guard lock(mutex_);
    return foreseen_;
  }
  std::set<std::string> held() {
    const std::lock_guard lock(mutex_);
    return {held_.begin(), held_.end()};
  }

 private:
  struct Reader final : ObjectReader {
    Reader(NotingEngine& e, std::string k) : engine(e), key(std::move(k)) {}
    ~Reader() override {
      const std::lock_guard lock(engine.mutex_);
      engine.held_.erase(engine.held_.find(key));
    }
    void Read(ByteRange, ReadDone) override {}
    std::optional<size_t> ReadNow(uint64_t, std::span<std::byte>) override { return {}; }
    std::shared_ptr<const WholeFile> Whole(Deadline) override { return nullptr; }
    std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown() override { return nullptr; }
    NotingEngine& engine;
    const std::string key;
  };

  std::mutex mutex_;
  size_t room_ = 100'000;
  std::map<std::string, int> foreseen_;
  std::multiset<std::string> held_;
};

class DirectoryWalksTest : public testing::Test {
 protected:
  // The objects of "d/", in the order of their listing.
  std::vector<ObjectVersion> Make(int count) {
    for (int i = 0; i < count; ++i) store_.Put(Key(i), "x");
    return Objects(*List());
  }
  static std::string Key(int i) { return "d/" + std::to_string(10'000 + i); }
  std::shared_ptr<DirectoryListing> List(const std::string& prefix = "d/") {
    auto listing = std::make_shared<DirectoryListing>(store_, pool_, clock_, memory_, prefix,
                                                      std::chrono::hours(1), names_.BeginListing());
    size_t count = 0;
    while (const size_t brought = listing->Read(count, 1000, {})->size()) count += brought;
    return listing;
  }
  static std::vector<ObjectVersion> Objects(const DirectoryListing& listing) {
    std::vector<ObjectVersion> out;
    for (size_t i = 0; const auto entry = listing.EntryAt(i); ++i)
      if (!entry->is_directory) out.push_back(entry->object.version);
    return out;
  }
  void Read(const ObjectVersion& object) {
    if (const auto step = walks_.Open(object)) walks_.OnRead(*step);
  }
  static std::map<std::string, int> OnceEach(std::span<const ObjectVersion> objects) {
    std::map<std::string, int> out;
    for (const ObjectVersion& object : objects) out[object.key] = 1;
    return out;
  }

  FakeClock clock_;
  MemoryObjectStore store_;
  ListingMemory memory_{1024 * kMiB};
  KnownNames names_{{}, clock_, memory_};
  NotingEngine engine_;
  DirectoryWalks walks_{engine_, names_, clock_, memory_, 64 * kMiB};
  ThreadPool pool_{"test-list", 4};
};

TEST_F(DirectoryWalksTest, FilesReadInListingOrderAreEachForeseenOnceAndHeldUntilTheyAreRead) {
  const std::vector<ObjectVersion> objects = Make(500);
  walks_.Listed(List());
  for (const ObjectVersion& object : objects) {
    Read(object);
    EXPECT_FALSE(engine_.held().contains(object.key));
  }
  EXPECT_EQ(engine_.foreseen(), OnceEach(std::span(objects).subspan(2)));
  EXPECT_TRUE(engine_.held().empty());
}

TEST_F(DirectoryWalksTest, AFewFilesBesideOthersAreEachFetchedOncePerPass) {
  for (int count = 4; count <= 24; ++count)
    for (int others = 0; others <= 2; ++others) {
      const std::string folder = std::to_string(count) + "-" + std::to_string(others) + "/";
      for (int i = 0; i < others; ++i) store_.Put(folder + "README" + std::to_string(i), "x");
      for (int i = 0; i < count; ++i) store_.Put(folder + "f" + std::to_string(100 + i), "x");
      const auto listing = List(folder);
      walks_.Listed(listing);
      std::vector<ObjectVersion> files = Objects(*listing);
      std::erase_if(files,
                    [](const ObjectVersion& v) { return v.key.find("README") != v.key.npos; });
      for (int pass = 1; pass <= 3; ++pass) {
        std::map<std::string, int> fetched;
        for (const auto& [key, times] : engine_.foreseen()) fetched[key] -= times;
        for (const ObjectVersion& file : files) {
          if (!engine_.held().contains(file.key)) ++fetched[file.key];
          Read(file);
        }
        for (const auto& [key, times] : engine_.foreseen()) fetched[key] += times;
        for (const ObjectVersion& file : files)
          EXPECT_EQ(fetched[file.key], 1) << file.key << ", pass " << pass;
      }
    }
}

TEST_F(DirectoryWalksTest, SoAreFilesReadInTheOrderOfTheirInodes) {
  std::vector<ObjectVersion> objects = Make(500);
  std::ranges::sort(objects, {}, [](const ObjectVersion& v) {
    return InodeTable::NumberOf(ObjectInfo{.version = v});
  });
  walks_.Listed(List());
  for (const ObjectVersion& object : objects) Read(object);
  // The first four show that it is not the order of the names; three more, what it is.
  const std::map<std::string, int> foreseen = engine_.foreseen();
  EXPECT_GE(foreseen.size(), 500U - 7);
  EXPECT_TRUE(std::ranges::all_of(foreseen, [](const auto& row) { return row.second == 1; }));
  EXPECT_TRUE(engine_.held().empty());
}

TEST_F(DirectoryWalksTest, SoAreFilesThatAProgramCounts) {
  for (int i = 0; i < 500; ++i) store_.Put("d/img" + std::to_string(i) + ".png", "x");
  const auto listing = List();
  walks_.Listed(listing);
  for (int i = 0; i < 500; ++i) {
    const std::string name = "img" + std::to_string(i) + ".png";
    Read(listing->Find(name)->entry.object.version);
  }
  const std::map<std::string, int> foreseen = engine_.foreseen();
  EXPECT_GE(foreseen.size(), 500U - 7);
  EXPECT_TRUE(std::ranges::all_of(foreseen, [](const auto& row) { return row.second == 1; }));
}

TEST(NumbersLess, TakesRunsOfDigitsAsNumbers) {
  const std::vector<std::string> in_order{"",     "0",     "1",    "2",     "010", "11",
                                          "a",    "a2",    "a2b1", "a2b10", "a2c", "a10",
                                          "a10b", "a0100", "b",    "\xc3"};
  for (size_t i = 0; i < in_order.size(); ++i)
    for (size_t j = 0; j < in_order.size(); ++j)
      EXPECT_EQ(NumbersLess(in_order[i], in_order[j]), i < j) << in_order[i] << ' ' << in_order[j];
  EXPECT_FALSE(NumbersLess("a01", "a1"));  // the same to it
  EXPECT_FALSE(NumbersLess("a1", "a01"));
}

TEST_F(DirectoryWalksTest, EmptyAndLargeFilesArchivedOnesAndDirectoriesAreLeftOut) {
  store_.Put("d/10003", "");
  store_.Put("d/10004", std::string(kMiB + 1, 'x'));
  store_.Put("d/10005/leaf", "x");
  store_.Put("d/10006", "x", StorageClass::kArchive);
  store_.Put("d/10007", std::string(kMiB, 'x'));
  for (const int i : {0, 1, 2, 8, 9}) store_.Put(Key(i), "x");
  const auto listing = List();
  walks_.Listed(listing);
  for (const ObjectVersion& object : Objects(*listing)) Read(object);
  EXPECT_EQ(
      engine_.foreseen(),
      (std::map<std::string, int>{{"d/10002", 1}, {"d/10007", 1}, {"d/10008", 1}, {"d/10009", 1}}));
}

TEST_F(DirectoryWalksTest, FilesThatAreOpenedAndNotReadForeseeNothing) {
  const std::vector<ObjectVersion> objects = Make(100);
  walks_.Listed(List());
  for (const ObjectVersion& object : objects) walks_.Open(object);
  EXPECT_TRUE(engine_.foreseen().empty());
}

TEST_F(DirectoryWalksTest, AFileCountsOnceHoweverManyReadsItTakes) {
  const std::vector<ObjectVersion> objects = Make(100);
  walks_.Listed(List());
  Read(objects[0]);
  const auto step = walks_.Open(objects[1]);
  for (int i = 0; i < 20; ++i) walks_.OnRead(*step);
  EXPECT_EQ(engine_.foreseen(), OnceEach(std::span(objects).subspan(2, 4)));
}

TEST_F(DirectoryWalksTest, WithoutRoomItAsksLessAndThenForTheSameFilesAgain) {
  const std::vector<ObjectVersion> objects = Make(300);
  walks_.Listed(List());
  engine_.set_room(8);
  for (const ObjectVersion& object : objects) {
    Read(object);
    EXPECT_LE(engine_.held().size(), 8U);
  }
  EXPECT_EQ(engine_.foreseen(), OnceEach(std::span(objects).subspan(2)));
}

TEST_F(DirectoryWalksTest, WhatIsNotReadIsLetGoWhenTheOrderBreaksTimePassesOrAllIsCleared) {
  const std::vector<ObjectVersion> objects = Make(20'000);
  const auto walk = [&] {
    walks_.Listed(List());
    for (int i = 0; i < 100; ++i) Read(objects[i]);
    EXPECT_FALSE(engine_.held().empty());
  };
  walk();
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) Read(objects[random() % objects.size()]);
  EXPECT_EQ(engine_.held().size(), DirectoryWalks::kLeftOverMax);

  walk();
  clock_.Advance(DirectoryWalks::kKeptFor + std::chrono::seconds(1));
  walks_.Open({.key = "another/file", .etag = "", .size_bytes = 1});
  EXPECT_TRUE(engine_.held().empty());

  walk();
  walks_.Clear();
  EXPECT_TRUE(engine_.held().empty());
  Read(objects[100]);
  EXPECT_TRUE(engine_.held().empty()) << "no listing is known any more";
}

TEST_F(DirectoryWalksTest, WhatIsLeftOverGoesWhenThereIsNoRoom) {
  const std::vector<ObjectVersion> objects = Make(20'000);
  walks_.Listed(List());
  for (int i = 0; i < 100; ++i) Read(objects[i]);
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) Read(objects[random() % objects.size()]);
  ASSERT_EQ(engine_.held().size(), DirectoryWalks::kLeftOverMax);
  engine_.set_room(engine_.held().size());
  for (int i = 5000; i < 5003; ++i) Read(objects[i]);  // a walk that finds no room
  EXPECT_TRUE(engine_.held().empty());
  Read(objects[5003]);
  EXPECT_TRUE(engine_.held().contains(objects[5004].key));
}

TEST_F(DirectoryWalksTest, SoDoesWhatAReaderLeftThatHasStopped) {
  const std::vector<ObjectVersion> objects = Make(100);
  for (int i = 0; i < 100; ++i) store_.Put("other/" + std::to_string(100 + i), "x");
  const auto other = List("other/");
  walks_.Listed(List());
  walks_.Listed(other);
  for (int i = 0; i < 20; ++i) Read(objects[i]);
  engine_.set_room(engine_.held().size());
  clock_.Advance(std::chrono::seconds(3));
  for (const ObjectVersion& object : Objects(*other)) {
    Read(object);
    if (engine_.held().contains("other/103")) break;
  }
  EXPECT_TRUE(engine_.held().contains("other/103"));
  EXPECT_FALSE(engine_.held().contains(objects[20].key));
}

TEST_F(DirectoryWalksTest, ARandomPassOverAllOfADirectoryFetchesHardlyAFileTwice) {
  std::vector<ObjectVersion> objects = Make(1000);
  std::mt19937 random(1);
  std::ranges::shuffle(objects, random);
  walks_.Listed(List());
  std::map<std::string, int> fetched;
  for (const ObjectVersion& object : objects) {
    if (!engine_.held().contains(object.key)) ++fetched[object.key];
    Read(object);
  }
  int count = 0;
  for (const auto& [key, times] : engine_.foreseen()) fetched[key] += times;
  for (const auto& [key, times] : fetched) count += times;
  EXPECT_EQ(fetched.size(), 1000U);
  EXPECT_LE(count, 1030);
}

TEST_F(DirectoryWalksTest, AnotherListingOfTheDirectoryDoesNotEndAWalk) {
  const std::vector<ObjectVersion> objects = Make(500);
  walks_.Listed(List());
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i % 50 == 10) walks_.Listed(List());
    Read(objects[i]);
  }
  EXPECT_EQ(engine_.foreseen(), OnceEach(std::span(objects).subspan(2)));
}

TEST_F(DirectoryWalksTest, AListingThatAnOpenFoundWrongIsNotUsed) {
  const std::vector<ObjectVersion> objects = Make(100);
  const auto listing = List();
  walks_.Listed(listing);
  listing->Disown();
  for (const ObjectVersion& object : objects) Read(object);
  EXPECT_TRUE(engine_.foreseen().empty());
}

TEST_F(DirectoryWalksTest, AListingThatIsKeptElsewhereIsFoundThere) {
  const std::vector<ObjectVersion> objects = Make(100);
  names_.ReadListing(List());
  for (const ObjectVersion& object : objects) Read(object);
  EXPECT_EQ(engine_.foreseen(), OnceEach(std::span(objects).subspan(2)));
}

TEST_F(DirectoryWalksTest, ManyReadersAtOnceForeseeEachFileAboutOnceAndLeaveNothingHeld) {
  const std::vector<ObjectVersion> objects = Make(2000);
  const auto listing = List();
  walks_.Listed(listing);
  std::atomic<size_t> next = 0;
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 4; ++i)
      readers.emplace_back([&] {
        for (size_t at; (at = next++) < objects.size();) {
          Read(objects[at]);
          if (at % 100 == 0) walks_.Listed(listing);
        }
      });
  }
  const std::map<std::string, int> foreseen = engine_.foreseen();
  EXPECT_GE(foreseen.size(), 1000U);
  const int count = std::accumulate(foreseen.begin(), foreseen.end(), 0,
                                    [](int sum, const auto& row) { return sum + row.second; });
  EXPECT_LE(count, 2000 + 100);
  walks_.Clear();
  EXPECT_TRUE(engine_.held().empty());
}

}  // namespace
}  // namespace shoal
