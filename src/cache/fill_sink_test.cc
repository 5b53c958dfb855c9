#include "cache/fill_sink.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "testing/collecting_sink.h"

namespace shoal {
namespace {

constexpr uint32_t kPageBytes = 4096;

class FillSinkTest : public testing::Test {
 protected:
  FillSinkTest() {
    uint32_t state = 1;
    for (std::byte& byte : object_)
      byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  }
  FillSink SinkOf(ByteRange range) {
    return {range,          range,
            object_.size(), kPageBytes,
            pool_,          reader_,
            nullptr,        [this](CacheChunk chunk) { kept_.push_back(std::move(chunk)); }};
  }
  // Puts so many bytes into its room, which has to be large enough.
  void Put(FillSink& sink, uint64_t offset, size_t count) {
    const std::span<std::byte> room = sink.Room();
    ASSERT_GE(room.size(), count);
    std::memcpy(room.data(), object_.data() + offset, count);
    EXPECT_TRUE(sink.Append(room.first(count)));
  }
  void ExpectKept(std::vector<ByteRange> ranges) {
    ASSERT_EQ(kept_.size(), ranges.size());
    for (size_t i = 0; i < ranges.size(); ++i) {
      EXPECT_EQ((ByteRange{kept_[i].offset, kept_[i].size_bytes}), ranges[i]);
      EXPECT_EQ(
          std::memcmp(kept_[i].bytes.get(), object_.data() + ranges[i].offset, kept_[i].size_bytes),
          0);
    }
  }
  [[nodiscard]] std::vector<std::byte> Part(uint64_t offset, uint64_t length) const {
    const auto begin = object_.begin() + static_cast<ptrdiff_t>(offset);
    return {begin, begin + static_cast<ptrdiff_t>(length)};
  }

  std::vector<std::byte> object_ = std::vector<std::byte>(2 * kChunkBytesMax + 5000);
  ChunkPool pool_;
  CollectingSink reader_;
  std::vector<CacheChunk> kept_;
};

TEST_F(FillSinkTest, WhatIsPutIntoItsRoomIsKeptAndHandedOn) {
  FillSink sink = SinkOf({0, object_.size()});
  EXPECT_EQ(sink.Room().size(), kChunkBytesMax);
  Put(sink, 0, 1000);
  EXPECT_EQ(sink.Room().size(), kChunkBytesMax - 1000);
  ASSERT_TRUE(sink.Append(std::span(object_).subspan(1000, 9000))) << "from elsewhere";
  Put(sink, 10'000, kChunkBytesMax - 10'000);
  Put(sink, kChunkBytesMax, kChunkBytesMax);
  EXPECT_EQ(sink.Room().size(), 5000U) << "to the end of the object";
  Put(sink, 2 * kChunkBytesMax, 5000);
  EXPECT_TRUE(sink.Room().empty());
  ExpectKept({{0, kChunkBytesMax}, {kChunkBytesMax, kChunkBytesMax}, {2 * kChunkBytesMax, 5000}});
  EXPECT_EQ(reader_.data, object_);
}

TEST_F(FillSinkTest, ThereIsNoRoomForWhatIsNotKept) {
  FillSink sink = SinkOf({100, 3 * kPageBytes});
  EXPECT_TRUE(sink.Room().empty()) << "the first page is not whole";
  ASSERT_TRUE(sink.Append(std::span(object_).subspan(100, 5000)));
  Put(sink, 5100, 3 * kPageBytes - 5000);
  EXPECT_TRUE(sink.Room().empty());
  ExpectKept({{kPageBytes, 2 * kPageBytes}});
  EXPECT_EQ(reader_.data, Part(100, 3 * kPageBytes));
}

TEST_F(FillSinkTest, RoomThatNothingCameIntoIsNotKept) {
  FillSink sink = SinkOf({0, object_.size()});
  EXPECT_FALSE(sink.Room().empty());
  sink.Finish();
  ExpectKept({});
  Put(sink, 0, 2 * kPageBytes + 1);
  sink.Finish();
  ExpectKept({{0, 2 * kPageBytes}});
}

}  // namespace
}  // namespace shoal
