#include "cache/flight_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

#include "testing/fake_clock.h"

namespace shoal {
namespace {

using Need = Miss::Need;

constexpr uint64_t kObjectBytes = 64 * kMiB + 5;
constexpr uint32_t kPageBytes = 16 * kKiB;

class FlightTableTest : public ::testing::Test {
 protected:
  static Miss Of(ByteRange range, Need need = Need::kNow) { return {.range = range, .need = need}; }
  // As a fetch does that has brought [offset, until) since it last handed something over. Each
  // byte says in which MiB of the object it is.
  static void Arrive(FlightTable::Flight& flight, uint64_t offset, uint64_t until) {
    auto memory = std::make_shared<std::byte[]>(until - offset);
    std::byte* next = memory.get();
    for (uint64_t i = offset; i < until; ++i) *next++ = ByteAt(i);
    flight.Arrived(std::move(memory), offset, until);
  }
  static std::byte ByteAt(uint64_t offset) { return static_cast<std::byte>(offset / kMiB + 1); }
  // Whether these bytes, and no others, are at hand.
  ::testing::AssertionResult Gets(const Miss& miss, uint64_t length) {
    const FlightTable::Part part = table_.AwaitBytes(miss);
    if (part.bytes.size() != length)
      return ::testing::AssertionFailure() << part.bytes.size() << " bytes";
    for (uint64_t i = 0; i < length; ++i)
      if (part.bytes[i] != ByteAt(miss.range.offset + i))
        return ::testing::AssertionFailure() << "another byte at " << i;
    return ::testing::AssertionSuccess();
  }

  FakeClock clock_;
  FlightTable table_{kObjectBytes, kPageBytes, clock_};
};

TEST_F(FlightTableTest, AFlightEndsWhereOthersGoOn) {
  const auto behind = table_.Claim(Of({4 * kMiB, kMiB}));
  const auto further = table_.Claim(Of({8 * kMiB, kMiB}));
  const auto flight = table_.Claim(Of({kMiB, 16 * kMiB}));
  ASSERT_NE(flight, nullptr);
  EXPECT_EQ(flight->range(), (ByteRange{kMiB, 3 * kMiB}));
  EXPECT_EQ(table_.Claim(Of({2 * kMiB, kMiB})), nullptr);
  EXPECT_EQ(table_.Claim(Of({5 * kMiB, 16 * kMiB}))->range(), (ByteRange{5 * kMiB, 3 * kMiB}));
}

TEST_F(FlightTableTest, WhoMissesWhatIsOnItsWayGetsItAsItArrives) {
  const auto flight = table_.Claim(Of({kMiB, 4 * kMiB}));
  const Miss miss = Of({kMiB + 100, 2 * kMiB});
  ASSERT_EQ(table_.Claim(miss), nullptr);
  std::thread waiting([&] {
    FlightTable::Part part;
    while (part.bytes.empty()) part = table_.AwaitBytes(miss);
    EXPECT_EQ(part.bytes.size(), 1000 - 100);
    EXPECT_EQ(part.bytes.front(), ByteAt(kMiB));
  });
  Arrive(*flight, kMiB, kMiB + 1000);
  waiting.join();
  Arrive(*flight, kMiB, 2 * kMiB);
  EXPECT_TRUE(Gets(miss, kMiB - 100));
  EXPECT_TRUE(Gets(Of({2 * kMiB - 1, kMiB}), 1)) << "no more than there is";
  EXPECT_TRUE(Gets(Of({kMiB, 10}), 10)) << "no more than is asked for";
}

TEST_F(FlightTableTest, WhatWasHandedToTheVolumeIsLookedForThere) {
  const auto flight = table_.Claim(Of({0, 4 * kMiB}, Need::kStored));
  Arrive(*flight, 0, kMiB);
  flight->Storing();
  EXPECT_TRUE(Gets(Of({0, kMiB}), kMiB)) << "it is still at hand";
  flight->Stored(kMiB);
  EXPECT_TRUE(Gets(Of({0, kMiB}), 0));
  const auto again = table_.Claim(Of({0, 4 * kMiB}));
  ASSERT_NE(again, nullptr) << "it was dropped";
  EXPECT_EQ(again->range(), (ByteRange{0, kMiB}));
}

TEST_F(FlightTableTest, WhoNeedsThemInTheVolumeWaitsUntilTheyWereHandedToIt) {
  const auto flight = table_.Claim(Of({0, 4 * kMiB}));
  Arrive(*flight, 0, kMiB);
  const Miss miss = Of({0, kMiB}, Need::kStored);
  EXPECT_EQ(table_.Claim(miss), nullptr) << "though a reader could have them";
  std::thread waiting([&] {
    while (table_.Claim(miss) == nullptr) table_.AwaitStored(miss);
  });
  flight->Storing();
  flight->Stored(kMiB);
  waiting.join();
}

TEST_F(FlightTableTest, AFlightThatEndsLeavesTheRestToOthers) {
  auto flight = table_.Claim(Of({0, 4 * kMiB}));
  Arrive(*flight, 0, kMiB / 2);
  const Miss miss = Of({kMiB, 2 * kMiB});
  std::unique_ptr<FlightTable::Flight> next;
  std::thread waiting([&] {
    while ((next = table_.Claim(miss)) == nullptr) EXPECT_TRUE(Gets(miss, 0));
  });
  flight.reset();
  waiting.join();
  EXPECT_EQ(next->range(), miss.range);
}

TEST_F(FlightTableTest, AFlightMadeShorterLeavesTheRestToOthers) {
  const auto flight = table_.Claim(Of({0, 4 * kMiB}));
  flight->Shorten(kMiB);
  EXPECT_EQ(flight->range(), (ByteRange{0, kMiB}));
  EXPECT_EQ(table_.Claim(Of({0, kMiB})), nullptr);
  EXPECT_NE(table_.Claim(Of({kMiB, kMiB})), nullptr);
}

TEST_F(FlightTableTest, OneThatStallsIsNotWaitedForAndOneThatGoesOnIs) {
  const auto flight = table_.Claim(Of({0, 4 * kMiB}));
  clock_.Advance(FlightTable::kStallMax / 2);
  Arrive(*flight, 0, kMiB / 2);
  clock_.Advance(FlightTable::kStallMax / 2);
  EXPECT_EQ(table_.Claim(Of({kMiB, kMiB})), nullptr) << "half of that time ago bytes came";
  clock_.Advance(FlightTable::kStallMax / 2);
  EXPECT_TRUE(Gets(Of({kMiB, kMiB}), 0)) << "at once";
  EXPECT_TRUE(Gets(Of({0, kMiB}), kMiB / 2)) << "what is at hand is";
  for (const Need need : {Need::kNow, Need::kSoon, Need::kStored})
    EXPECT_EQ(table_.Claim(Of({kMiB, 8 * kMiB}, need))->range(), (ByteRange{kMiB, 8 * kMiB}));
}

TEST_F(FlightTableTest, AVolumeThatIsBehindHoldsUpOnlyWhoNeedsThemThere) {
  const auto flight = table_.Claim(Of({0, 4 * kMiB}, Need::kStored));
  Arrive(*flight, 0, kMiB);
  flight->Storing();
  EXPECT_EQ(table_.Claim(Of({kMiB, kMiB})), nullptr) << "it may be a moment only";
  clock_.Advance(FlightTable::kStoringMax);
  EXPECT_NE(table_.Claim(Of({kMiB, kMiB})), nullptr);
  clock_.Advance(FlightTable::kStallMax);
  EXPECT_EQ(table_.Claim(Of({2 * kMiB, kMiB}, Need::kStored)), nullptr);
}

TEST_F(FlightTableTest, WhoHasNoTimeLeftForWaitingFetches) {
  const auto flight = table_.Claim(Of({0, 4 * kMiB}));
  Arrive(*flight, 0, kMiB / 2);
  Miss miss = Of({kMiB, 8 * kMiB});
  miss.patient_until = PatientUntil(Deadline::After(clock_, std::chrono::seconds(2)), clock_);
  EXPECT_EQ(miss.patient_until, clock_.Now() + std::chrono::seconds(1));
  EXPECT_EQ(table_.Claim(miss), nullptr);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(table_.Claim(miss)->range(), miss.range);
  miss.range.offset = 0;
  EXPECT_EQ(table_.Claim(miss), nullptr);
  EXPECT_TRUE(Gets(miss, kMiB / 2)) << "what is at hand takes no time";
  EXPECT_EQ(PatientUntil({}, clock_), Instant::max());
}

TEST_F(FlightTableTest, AReaderDoesNotWaitForMuchThatItDidNotAskFor) {
  const auto flight = table_.Claim(Of({0, 64 * kMiB}));
  Arrive(*flight, 0, kMiB);
  const auto waits = [&](uint64_t ahead, uint64_t length, Need need) {
    return table_.Claim(Of({kMiB + ahead, length}, need)) == nullptr;
  };
  EXPECT_TRUE(waits(kMiB, kPageBytes, Need::kNow));
  EXPECT_FALSE(waits(kMiB + kPageBytes, kPageBytes, Need::kNow));
  EXPECT_TRUE(waits(kMiB + kPageBytes, kPageBytes, Need::kSoon));
  EXPECT_TRUE(waits(kMiB + kPageBytes, kPageBytes, Need::kStored));
  EXPECT_TRUE(waits(16 * kMiB, 2 * kMiB, Need::kNow));
  EXPECT_FALSE(waits(16 * kMiB + kPageBytes, 2 * kMiB, Need::kNow));
}

TEST_F(FlightTableTest, OfTwoThatBringTheSameTheOneThatIsFurtherIsWaitedFor) {
  const auto first = table_.Claim(Of({0, 4 * kMiB}));
  clock_.Advance(FlightTable::kStallMax);
  const auto second = table_.Claim(Of({0, 4 * kMiB}));
  ASSERT_NE(second, nullptr) << "the first stalls";
  Arrive(*first, 0, 1000);
  Arrive(*second, 0, kMiB);
  EXPECT_TRUE(Gets(Of({kMiB / 2, kMiB}), kMiB / 2));
}

TEST_F(FlightTableTest, PagesThatComeInPartAreNotWaitedFor) {
  const auto flight = table_.Claim(Of({100, 5 * kPageBytes}));
  EXPECT_EQ(flight->range(), (ByteRange{100, 5 * kPageBytes})) << "what was missed is fetched";
  const auto first = table_.Claim(Of({0, 2 * kPageBytes}));
  EXPECT_EQ(first->range(), (ByteRange{0, kPageBytes}));
  EXPECT_EQ(table_.Claim(Of({kPageBytes, 1})), nullptr);
  EXPECT_NE(table_.Claim(Of({5 * kPageBytes, 1})), nullptr);
  const auto last = table_.Claim(Of({64 * kMiB, 5}));
  EXPECT_EQ(table_.Claim(Of({64 * kMiB, 5})), nullptr) << "the object's last page is whole";
  const auto none = table_.Claim(Of({32 * kMiB + 1, 7}));
  EXPECT_NE(table_.Claim(Of({32 * kMiB + 1, 7})), nullptr);
}

}  // namespace
}  // namespace shoal
