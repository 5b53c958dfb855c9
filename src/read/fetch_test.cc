#include "read/fetch.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace shoal {
namespace {

class Listener final : public FetchSink::Listener {
 public:
  struct Call {
    size_t segment_index;
    uint64_t filled_bytes;
    friend bool operator==(const Call&, const Call&) = default;
  };

  bool OnFilled(Fetch&, size_t segment_index, uint64_t filled_bytes) override {
    calls.push_back({segment_index, filled_bytes});
    return wants_more;
  }
  std::vector<Call> calls;
  bool wants_more = true;
};

class FetchSinkTest : public ::testing::Test {
 protected:
  FetchSinkTest() {
    for (const uint64_t offset : {uint64_t{0}, uint64_t{4}}) {
      auto segment = std::make_shared<Segment>(nullptr, ByteRange{offset, 4}, nullptr);
      segment->buffer = Buffer(4);
      fetch_.segments.push_back(std::move(segment));
    }
    fetch_.range = {0, 8};
  }

  std::array<std::byte, 9> bytes_{};
  Fetch fetch_;
  Listener listener_;
  FetchSink sink_{fetch_, listener_};
};

TEST_F(FetchSinkTest, TellsHowFarEachSegmentIsFilled) {
  EXPECT_TRUE(sink_.Append(std::span(bytes_).first(3)));
  EXPECT_TRUE(sink_.Append(std::span(bytes_).first(5)));
  EXPECT_EQ(listener_.calls, (std::vector<Listener::Call>{{0, 3}, {0, 4}, {1, 4}}));
  EXPECT_EQ(sink_.segment_index(), 2U);
}

TEST_F(FetchSinkTest, WithNoBytesOnlyAsksWhetherMoreIsWanted) {
  ASSERT_TRUE(sink_.Append(std::span(bytes_).first(5)));
  listener_.calls.clear();
  EXPECT_TRUE(sink_.Append({}));
  listener_.wants_more = false;
  EXPECT_FALSE(sink_.Append({}));
  EXPECT_EQ(listener_.calls, (std::vector<Listener::Call>{{1, 1}, {1, 1}}));
}

TEST_F(FetchSinkTest, WhatIsPutIntoItsRoomIsInTheSegments) {
  const auto put = [&](std::string_view text) {
    const std::span<std::byte> room = sink_.Room();
    ASSERT_GE(room.size(), text.size());
    std::memcpy(room.data(), text.data(), text.size());
    EXPECT_TRUE(sink_.Append(room.first(text.size())));
  };
  EXPECT_EQ(sink_.Room().size(), 4U);
  put("abc");
  EXPECT_EQ(sink_.Room().size(), 1U) << "of the first segment";
  put("d");
  EXPECT_TRUE(sink_.Append(std::as_bytes(std::span("efgh", 2)))) << "from elsewhere";
  put("gh");
  EXPECT_TRUE(sink_.Room().empty());
  EXPECT_EQ(std::memcmp(fetch_.segments[0]->buffer.data(), "abcd", 4), 0);
  EXPECT_EQ(std::memcmp(fetch_.segments[1]->buffer.data(), "efgh", 4), 0);
}

TEST_F(FetchSinkTest, TakesNoMoreThanWasAskedFor) {
  EXPECT_FALSE(sink_.Append(bytes_));
  EXPECT_EQ(sink_.segment_index(), 2U);
}

}  // namespace
}  // namespace shoal
