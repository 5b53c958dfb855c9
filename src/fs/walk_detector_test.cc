#include "fs/walk_detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <vector>

namespace shoal {
namespace {

using Place = WalkDetector::Place;
using Order = std::vector<Place>;

// A directory that is read in an order, and what was fetched for that.
struct Outcome {
  uint64_t read_count = 0;
  uint64_t foreseen_count = 0;   // of reads of what was fetched by then
  uint64_t unread_count = 0;     // files that were fetched and then not read
  std::map<Place, int> fetched;  // how often each was, ahead or by its reader
  std::vector<size_t> held;      // files that were fetched ahead, after each read
  size_t asked_max = 0;          // by one read
  std::vector<bool> foreseen;    // for each read

  [[nodiscard]] size_t held_max() const { return *std::ranges::max_element(held); }
  [[nodiscard]] bool each_once() const {
    return std::ranges::all_of(fetched, [](const auto& row) { return row.second == 1; });
  }
};

class Directory {
 public:
  explicit Directory(Place count) : count_(count) {}

  Outcome Read(const Order& order) {
    for (const Place place : order) ReadOne(place);
    return outcome_;
  }
  void ReadOne(Place place) {
    ++outcome_.read_count;
    const bool foreseen = held_.erase(place) > 0;
    outcome_.foreseen_count += foreseen ? 1 : 0;
    outcome_.foreseen.push_back(foreseen);
    if (!foreseen) ++outcome_.fetched[place];
    const WalkDetector::Finding finding = detector.OnRead(place, count_);
    for (const Place unread : finding.unread) {
      EXPECT_EQ(held_.erase(unread), 1U) << unread;
      ++outcome_.unread_count;
    }
    for (const Place wanted : finding.wanted) {
      EXPECT_GE(wanted, 0);
      EXPECT_LT(wanted, count_);
      EXPECT_TRUE(held_.insert(wanted).second) << wanted << " is there already";
      ++outcome_.fetched[wanted];
    }
    outcome_.held.push_back(held_.size());
    outcome_.asked_max = std::max(outcome_.asked_max, finding.wanted.size());
    EXPECT_LE(outcome_.unread_count + held_.size(),
              WalkDetector::UnreadMax(outcome_.read_count, outcome_.foreseen_count));
  }
  [[nodiscard]] const std::set<Place>& held() const { return held_; }

  WalkDetector detector;

 private:
  const Place count_;
  std::set<Place> held_;
  Outcome outcome_;
};

Order Straight(Place count) {
  Order order(count);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Order Shuffled(Order order, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::ranges::shuffle(order, random);
  return order;
}

// What several readers read, each in its own order, one after the other in turn.
Order InTurn(const std::vector<Order>& readers) {
  Order all;
  for (size_t i = 0;; ++i) {
    const size_t before = all.size();
    for (const Order& reader : readers)
      if (i < reader.size()) all.push_back(reader[i]);
    if (all.size() == before) return all;
  }
}

std::vector<Order> Strides(Place count, Place step) {
  std::vector<Order> readers(step);
  for (Place place = 0; place < count; ++place) readers[place % step].push_back(place);
  return readers;
}

std::vector<Order> Slices(Place count, Place slices) {
  std::vector<Order> readers(slices);
  for (Place place = 0; place < count; ++place) readers[place * slices / count].push_back(place);
  return readers;
}

// Each read comes up to `late_max` reads later than in `order`.
Order Jittered(const Order& order, size_t late_max, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::pair<uint64_t, Place>> at;
  for (size_t i = 0; i < order.size(); ++i)
    at.emplace_back(i + random() % (late_max + 1), order[i]);
  std::ranges::stable_sort(at, {}, &std::pair<uint64_t, Place>::first);
  Order out;
  for (const auto& [when, place] : at) out.push_back(place);
  return out;
}

TEST(WalkDetector, AStraightOrderIsForeseenFromItsThirdFileOn) {
  Directory directory(1000);
  const Outcome outcome = directory.Read(Straight(1000));
  std::vector<bool> expected(1000, true);
  expected[0] = expected[1] = false;
  EXPECT_EQ(outcome.foreseen, expected);
  EXPECT_TRUE(outcome.each_once());
  EXPECT_EQ(outcome.unread_count, 0U);
}

TEST(WalkDetector, SoIsOneThatBeginsInTheMiddleFromItsFourth) {
  Directory directory(1000);
  Order order = Straight(1000);
  order.erase(order.begin(), order.begin() + 400);
  const Outcome outcome = directory.Read(order);
  std::vector<bool> expected(600, true);
  expected[0] = expected[1] = expected[2] = false;
  EXPECT_EQ(outcome.foreseen, expected);
  EXPECT_TRUE(outcome.each_once());
}

TEST(WalkDetector, SoIsAReversedOne) {
  Directory directory(1000);
  Order order = Straight(1000);
  std::ranges::reverse(order);
  const Outcome outcome = directory.Read(order);
  std::vector<bool> expected(1000, true);
  expected[0] = expected[1] = false;
  EXPECT_EQ(outcome.foreseen, expected);
  EXPECT_TRUE(outcome.each_once());
}

TEST(WalkDetector, TheWindowGrowsByOneAReadUpToItsBound) {
  Directory directory(2000);
  const Outcome outcome = directory.Read(Straight(2000));
  // Held after the read of place i: four after the second file, and one more for each read.
  std::vector<size_t> expected;
  for (size_t i = 0; i < 2000; ++i) {
    const size_t window = i == 0 ? 0 : std::min<size_t>(WalkDetector::kWindowStart + i - 1, 256);
    expected.push_back(std::min<size_t>(window, 2000 - 1 - i));
  }
  EXPECT_EQ(outcome.held, expected);
  EXPECT_LE(outcome.asked_max, WalkDetector::kWantedMax);
}

TEST(WalkDetector, ProcessesThatShareAListByStridesAreForeseenTogetherOrAlone) {
  for (Place step = 2; step <= WalkDetector::kStepMax; ++step) {
    const std::vector<Order> readers = Strides(1600, step);
    Directory shared(1600);
    const Outcome together = shared.Read(InTurn(readers));
    EXPECT_TRUE(together.each_once()) << step;
    EXPECT_EQ(together.foreseen_count, 1598U) << step;
    EXPECT_EQ(together.unread_count, 0U) << step;

    Directory lonely(1600);
    const Outcome alone = lonely.Read(readers[1]);  // the others read on other machines
    EXPECT_TRUE(alone.each_once()) << step;
    EXPECT_EQ(alone.foreseen_count, readers[1].size() - 3) << step;
    EXPECT_EQ(alone.fetched.size(), readers[1].size()) << step << ": and nothing between them";
  }
}

TEST(WalkDetector, ReadersOfSlicesAreForeseenEach) {
  for (Place slices = 2; slices <= 16; ++slices) {
    Directory directory(3200);
    const Outcome outcome = directory.Read(InTurn(Slices(3200, slices)));
    // As many as there are stakes may begin at a time, and prove themselves by eight reads;
    // what readers read before that their neighbours may fetch again.
    if (slices <= Place{WalkDetector::kStakes}) {
      EXPECT_TRUE(outcome.each_once()) << slices;
      EXPECT_EQ(outcome.unread_count, 0U) << slices;
    }
    EXPECT_LE(outcome.unread_count + directory.held().size(), 3200U / 16) << slices;
    const uint64_t begun_late = slices * 3 + (slices - 1) / WalkDetector::kStakes * slices * 12;
    EXPECT_GE(outcome.foreseen_count + begun_late, 3200U) << slices;
  }
}

TEST(WalkDetector, WorkersThatTakeABatchEachInTurnAreForeseen) {
  for (const Place workers : {2, 4, 8}) {
    std::vector<Order> readers(workers);
    for (Place place = 0; place < 8000; ++place) readers[place / 32 % workers].push_back(place);
    Directory directory(8000);
    const Outcome outcome = directory.Read(InTurn(readers));
    EXPECT_GE(outcome.foreseen_count, 6500U) << workers;
    EXPECT_LE(outcome.unread_count + directory.held().size(), 800U) << workers;
  }
}

TEST(WalkDetector, SmallReorderingsDoNotMatter) {
  for (const size_t late_max : {1, 4, 16, 32}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Directory directory(3000);
      const Outcome outcome = directory.Read(Jittered(Straight(3000), late_max, seed));
      EXPECT_GE(outcome.foreseen_count, 3000U - 8 * late_max - 20) << late_max << ' ' << seed;
      EXPECT_LE(outcome.unread_count, 2 * late_max + 4) << late_max << ' ' << seed;
    }
  }
}

TEST(WalkDetector, ReadersThatDriftApartAreForeseenStill) {
  // Two by strides, of which one is twice as quick.
  const std::vector<Order> readers = Strides(4000, 2);
  Order order;
  for (size_t i = 0; i < 1000; ++i)
    order.insert(order.end(), {readers[0][2 * i], readers[1][i], readers[0][2 * i + 1]});
  order.insert(order.end(), readers[1].begin() + 1000, readers[1].end());
  Directory directory(4000);
  const Outcome outcome = directory.Read(order);
  EXPECT_GE(outcome.foreseen_count, 3800U);
  EXPECT_LE(outcome.unread_count, 300U);
}

TEST(WalkDetector, AFileThatIsLeftOutNowAndThenIsFetchedInVainAndTheRestForeseen) {
  Order order;
  for (Place place = 0; place < 2000; ++place)
    if (place % 10 != 7) order.push_back(place);
  Directory directory(2000);
  const Outcome outcome = directory.Read(order);
  EXPECT_GE(outcome.foreseen_count, order.size() - 3);
  EXPECT_LE(outcome.unread_count + directory.held().size(), 200U);
}

TEST(WalkDetector, WhereMostAreLeftOutAtRandomLittleIsFetched) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    Order order;
    for (Place place = 0; place < 10'000; ++place)
      if (random() % 4 == 0) order.push_back(place);
    Directory directory(10'000);
    const Outcome outcome = directory.Read(order);
    EXPECT_LE(outcome.unread_count, order.size() / 10) << seed;
  }
}

TEST(WalkDetector, ARandomOrderFetchesAlmostNothingInVain) {
  for (const Place count : {5, 20, 100, 300, 1000, 3000, 10'000, 30'000}) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      Directory directory(count);
      const Outcome outcome = directory.Read(Shuffled(Straight(count), seed));
      const uint64_t in_vain = outcome.unread_count + directory.held().size();
      EXPECT_LE(in_vain, WalkDetector::UnreadMax(count, outcome.foreseen_count)) << count;
      EXPECT_LE(in_vain, 40 + count / 200) << count << ' ' << seed;
    }
  }
}

TEST(WalkDetector, NoOrderFetchesMoreInVainThanTheBound) {
  // Pieces of orders of all kinds, one after the other; ReadOne checks the bound each time.
  for (uint64_t seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    const Place count = 20 + static_cast<Place>(random() % 2000);
    Directory directory(count);
    for (int piece = 0; piece < 40; ++piece) {
      const Place step = static_cast<Place>(random() % 40) - 20;
      auto place = static_cast<Place>(random() % count);
      for (uint64_t i = random() % 200; i > 0 && place >= 0 && place < count; --i) {
        directory.ReadOne(place);
        place = random() % 8 == 0 ? static_cast<Place>(random() % count) : place + step;
      }
    }
  }
}

TEST(WalkDetector, AnOrderThatBreaksIsGivenUp) {
  Directory directory(100'000);
  Order order = Straight(1000);
  const Order rest = Shuffled(Straight(100'000), 1);
  order.insert(order.end(), rest.begin(), rest.begin() + 200);
  const Outcome outcome = directory.Read(order);
  EXPECT_EQ(directory.held().size(), 0U);
  EXPECT_LE(outcome.unread_count, WalkDetector::kWindowMax);
}

TEST(WalkDetector, ADirectoryIsForeseenEachTimeItIsReadThrough) {
  for (const Place count : {5, 6, 10, 50, 1000}) {
    Directory directory(count);
    for (int pass = 1; pass <= 20; ++pass) {
      const Outcome outcome = directory.Read(Straight(count));
      EXPECT_GE(outcome.foreseen_count, static_cast<uint64_t>(pass * (count - 3))) << count;
      EXPECT_EQ(outcome.unread_count, 0U) << count;
    }
  }
}

TEST(WalkDetector, PlacesThatAreKnownLaterAreWantedThen) {
  WalkDetector detector;
  detector.OnRead(0, 4);
  EXPECT_EQ(detector.OnRead(1, 4).wanted, (Order{2, 3}));
  EXPECT_EQ(detector.OnRead(2, 4).wanted, Order{});
  EXPECT_EQ(detector.OnRead(3, 100).wanted, (Order{4, 5, 6, 7, 8, 9}));
}

TEST(WalkDetector, WhereNothingIsThereTheWalkGoesOn) {
  WalkDetector detector;
  detector.OnRead(0, 100);
  ASSERT_EQ(detector.OnRead(1, 100).wanted, (Order{2, 3, 4, 5}));
  for (const Place directory : {2, 3, 5}) detector.OnNothingThere(directory);
  EXPECT_EQ(detector.OnRead(4, 100).wanted, (Order{6, 7, 8, 9}));
}

TEST(WalkDetector, WithoutRoomTheWindowIsHalvedAndWhatHadNoneIsWantedLater) {
  WalkDetector detector;
  detector.OnRead(0, 100);
  ASSERT_EQ(detector.OnRead(1, 100).wanted, (Order{2, 3, 4, 5}));
  ASSERT_EQ(detector.OnRead(2, 100).wanted, (Order{6, 7}));
  detector.OnNoRoom(Order{6, 7});
  EXPECT_EQ(detector.OnRead(3, 100).wanted, Order{});
  EXPECT_EQ(detector.OnRead(4, 100).wanted, (Order{6, 7}));
}

}  // namespace
}  // namespace shoal
