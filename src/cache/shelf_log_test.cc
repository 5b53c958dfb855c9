#include "cache/shelf_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = ShelfEntry::Kind;

ShelfEntry Entry(Kind kind, const std::string& name, ShelfPlace place, uint32_t seconds = 7) {
  return {.kind = kind, .name = ObjectDigest::Of(name), .place = place, .unix_seconds = seconds};
}

std::vector<std::byte> LogOf(std::initializer_list<ShelfEntry> entries) {
  std::vector<std::byte> log;
  for (const ShelfEntry& entry : entries) {
    const EncodedShelfEntry encoded = EncodeShelfEntry(entry);
    log.insert(log.end(), encoded.begin(), encoded.end());
  }
  return log;
}

TEST(ShelfLogTest, APlaceIsABlockForTheMetaAndTheBlocksOfTheBytes) {
  EXPECT_EQ((ShelfPlace{5, 1}).block_count(), 2U);
  EXPECT_EQ((ShelfPlace{5, 4096}).block_count(), 2U);
  EXPECT_EQ((ShelfPlace{5, 4097}).end_block(), 8U);
}

TEST(ShelfLogTest, AnEntryIsReadAsItWasWritten) {
  for (const Kind kind : {Kind::kPlaced, Kind::kUsed, Kind::kDropped}) {
    const ShelfEntry entry = Entry(kind, "a", {0x7FFF'0000, kShelvedBytesMax}, 0xFFFF'FFFF);
    EXPECT_EQ(DecodeShelfEntry(EncodeShelfEntry(entry)), entry);
  }
}

TEST(ShelfLogTest, AnEntryWithAnyBitTurnedIsNone) {
  const EncodedShelfEntry whole = EncodeShelfEntry(Entry(Kind::kPlaced, "a", {3, 5000}));
  for (size_t bit = 0; bit < kShelfEntryBytes * 8; ++bit) {
    EncodedShelfEntry turned = whole;
    turned[bit / 8] ^= std::byte{1} << bit % 8;
    EXPECT_EQ(DecodeShelfEntry(turned), std::nullopt) << bit;
  }
  EXPECT_EQ(DecodeShelfEntry(EncodedShelfEntry{}), std::nullopt);
}

TEST(ShelfLogTest, WhatWasPlacedAndNotDroppedIsThereInTheOrderOfThePlaces) {
  const auto b = Entry(Kind::kPlaced, "b", {2, 4096});
  const auto c = Entry(Kind::kPlaced, "c", {4, 100});
  const auto contents = ReplayShelfLog(
      LogOf({Entry(Kind::kPlaced, "a", {0, 10}), c, b, Entry(Kind::kDropped, "a", {0, 10}),
             Entry(Kind::kUsed, "b", {2, 4096}, 99)}));
  EXPECT_THAT(contents.placed, ElementsAre(Entry(Kind::kPlaced, "b", {2, 4096}, 99), c));
  EXPECT_EQ(contents.end_block, 6U);
}

TEST(ShelfLogTest, ADropOfAnEarlierPlaceDoesNotEndTheLaterOne) {
  const auto again = Entry(Kind::kPlaced, "a", {2, 10});
  const auto contents = ReplayShelfLog(
      LogOf({Entry(Kind::kPlaced, "a", {0, 10}), again, Entry(Kind::kDropped, "a", {0, 10})}));
  EXPECT_THAT(contents.placed, ElementsAre(again));
}

TEST(ShelfLogTest, DamagedEntriesAndABrokenOffLastOneArePassedOver) {
  auto log = LogOf({Entry(Kind::kPlaced, "a", {0, 10}), Entry(Kind::kPlaced, "b", {2, 10}),
                    Entry(Kind::kPlaced, "c", {4, 10})});
  log[3] ^= std::byte{1};
  log.resize(log.size() - 1);
  EXPECT_THAT(ReplayShelfLog(log).placed, ElementsAre(Entry(Kind::kPlaced, "b", {2, 10})));
}

TEST(ShelfLogTest, OfPlacesThatOverlapNoneIsBelieved) {
  const auto far = Entry(Kind::kPlaced, "far", {200, 10});
  const auto contents = ReplayShelfLog(
      LogOf({Entry(Kind::kPlaced, "long", {0, 400'000}), Entry(Kind::kPlaced, "within", {5, 10}),
             Entry(Kind::kPlaced, "also within", {20, 10}), far}));
  EXPECT_THAT(contents.placed, ElementsAre(far));
  EXPECT_THAT(ReplayShelfLog(
                  LogOf({Entry(Kind::kPlaced, "a", {4, 10}), Entry(Kind::kPlaced, "b", {4, 10})}))
                  .placed,
              IsEmpty());
}

}  // namespace
}  // namespace shoal
