#include "origin/object_body.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "origin/crc64.h"

namespace shoal {
namespace {

constexpr uint64_t kDigitsCrc64 = 0x995DC9BBDF1939FA;  // of "123456789"

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Keeps what it is sent, and has memory for so much of it.
class KeepingSink final : public ByteSink {
 public:
  explicit KeepingSink(size_t room_bytes) : memory_(room_bytes) {}
  bool Append(std::span<const std::byte> bytes) override {
    if (bytes.empty()) ++asked_count;
    if (!bytes.empty()) was_in_place = bytes.data() == memory_.data();
    kept.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return wants_more;
  }
  std::span<std::byte> Room() override { return memory_; }

  std::string kept;
  int asked_count = 0;
  bool was_in_place = false;
  bool wants_more = true;

 private:
  std::vector<std::byte> memory_;
};

// Puts `text` into the body's own room, as a connection does.
bool Receive(ObjectBody& body, std::string_view text) {
  const std::span<std::byte> room = body.Room();
  EXPECT_GE(room.size(), text.size());
  std::ranges::copy(BytesOf(text), room.begin());
  return body.Append(room.first(text.size()));
}

TEST(Crc64, IsThatOfTheCatalogue) {
  EXPECT_EQ(Crc64(0, BytesOf("123456789")), kDigitsCrc64);
  EXPECT_EQ(Crc64(Crc64(0, BytesOf("1234")), BytesOf("56789")), kDigitsCrc64);
  EXPECT_EQ(Crc64(0, {}), 0U);
}

TEST(ObjectBody, PassesOnWhatComesWhereNoChecksumIsKnown) {
  KeepingSink sink(0);
  ObjectBody body(sink, 9);
  EXPECT_TRUE(body.Append(BytesOf("1234")));
  EXPECT_EQ(sink.kept, "1234");
  EXPECT_EQ(body.missing_bytes(), 5U);
  EXPECT_TRUE(body.Append(BytesOf("56789")));
  EXPECT_EQ(sink.kept, "123456789");
  EXPECT_FALSE(body.differs());
  EXPECT_FALSE(body.Append(BytesOf("0"))) << "one more than was asked for";
  EXPECT_TRUE(body.overflowed());
  EXPECT_EQ(sink.kept, "123456789");
}

TEST(ObjectBody, PassesOnNothingBeforeAllCameAndIsRight) {
  KeepingSink sink(9);
  ObjectBody body(sink, 9);
  body.Expect(kDigitsCrc64);
  EXPECT_TRUE(Receive(body, "1234"));
  EXPECT_TRUE(body.Append(BytesOf("5")));
  EXPECT_EQ(sink.kept, "");
  EXPECT_TRUE(Receive(body, "6789"));
  EXPECT_EQ(sink.kept, "123456789");
  EXPECT_TRUE(sink.was_in_place);
  EXPECT_FALSE(body.differs());
  EXPECT_FALSE(body.Append(BytesOf("0")));
  EXPECT_TRUE(body.overflowed());
}

TEST(ObjectBody, PassesOnNothingOfWhatIsNotTheObject) {
  for (const size_t room_bytes : {size_t{9}, size_t{8}}) {
    KeepingSink sink(room_bytes);
    ObjectBody body(sink, 9);
    body.Expect(kDigitsCrc64);
    EXPECT_TRUE(body.Append(BytesOf("12345")));
    EXPECT_FALSE(body.differs()) << "as long as not all came";
    EXPECT_FALSE(body.Append(BytesOf("6798")));
    EXPECT_TRUE(body.differs());
    EXPECT_EQ(body.crc64(), Crc64(0, BytesOf("123456798")));
    EXPECT_EQ(sink.kept, "");
  }
}

TEST(ObjectBody, HoldsInMemoryOfItsOwnWhatTheNextHasNoRoomFor) {
  const std::string text(ObjectBody::kOwnBytesMax, 'x');
  KeepingSink sink(text.size() - 1);
  ObjectBody body(sink, text.size());
  body.Expect(Crc64(0, BytesOf(text)));
  EXPECT_TRUE(Receive(body, text.substr(1)));
  EXPECT_EQ(sink.kept, "");
  EXPECT_TRUE(Receive(body, "x"));
  EXPECT_EQ(sink.kept, text);
}

TEST(ObjectBody, PassesOnWhatIsTooLargeToBeHeldAsItComes) {
  struct Case {
    size_t size_bytes, room_bytes;
  };
  for (const auto& [size_bytes, room_bytes] :
       {Case{ObjectBody::kHeldBytesMax + 1, 2 * kMiB},
        Case{ObjectBody::kOwnBytesMax + 1, ObjectBody::kOwnBytesMax}}) {
    KeepingSink sink(room_bytes);
    ObjectBody body(sink, size_bytes);
    body.Expect(1);
    EXPECT_TRUE(Receive(body, "ab"));
    EXPECT_EQ(sink.kept, "ab");
    EXPECT_TRUE(body.Append(BytesOf(std::string(size_bytes - 2, 'c'))));
    EXPECT_FALSE(body.differs());
  }
}

TEST(ObjectBody, EndsOnceNobodyWantsWhatIsHeldBack) {
  KeepingSink sink(9);
  ObjectBody body(sink, 9);
  body.Expect(kDigitsCrc64);
  EXPECT_TRUE(Receive(body, "12"));
  EXPECT_EQ(sink.asked_count, 1);
  sink.wants_more = false;
  EXPECT_FALSE(Receive(body, "34"));
  EXPECT_FALSE(body.differs());
}

}  // namespace
}  // namespace shoal
