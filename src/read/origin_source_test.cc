#include "read/origin_source.h"

#include <gtest/gtest.h>

#include <string>

#include "testing/fake_clock.h"
#include "testing/memory_object_store.h"
#include "testing/string_sink.h"

namespace shoal {
namespace {

class OneObjectStore final : public ObjectStore {
 public:
  Result<ObjectInfo> Head(std::string_view, Deadline) override { return Fail(Errc::kInvalid, ""); }
  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline) override {
    if (version.key != "fish") return Fail(Errc::kNotFound, version.key);
    const std::string_view part =
        std::string_view("a shoal of fish").substr(range.offset, range.length);
    if (!sink.Append(std::as_bytes(std::span(part)))) return Fail(Errc::kInterrupted, "sink");
    return GetAnswer{};
  }
  Result<ListPage> List(const ListQuery&, Deadline) override { return Fail(Errc::kInvalid, ""); }
  Result<BucketUsage> Usage(Deadline) override { return Fail(Errc::kInvalid, ""); }
};

TEST(OriginSource, BringsTheRangeAndSaysWhereItWas) {
  OneObjectStore store;
  OriginSource source(store);
  const ObjectVersion fish{.key = "fish", .etag = "", .size_bytes = 15};
  StringSink sink;
  const auto found = source.Open(fish)->Read({.range = {2, 5}, .deadline = {}}, sink);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, ServedBy::kOrigin);
  EXPECT_EQ(sink.text, "shoal");
}

TEST(OriginSource, PassesErrorsOn) {
  OneObjectStore store;
  OriginSource source(store);
  const ObjectVersion gone{.key = "gone", .etag = "", .size_bytes = 15};
  StringSink sink;
  EXPECT_EQ(source.Open(gone)->Read({.range = {0, 5}, .deadline = {}}, sink).error(),
            (Error{Errc::kNotFound, "gone"}));
}

class ReadingSink final : public ByteSink {
 public:
  explicit ReadingSink(const DemandGauge& gauge) : gauge_(gauge) {}
  bool Append(std::span<const std::byte>) override {
    under_way_count = gauge_.Read().under_way_count;
    return true;
  }
  uint64_t under_way_count = 0;

 private:
  const DemandGauge& gauge_;
};

TEST(OriginSource, WarmupAsksAStoreOfItsOwnAndIsNoDemand) {
  OneObjectStore store;
  MemoryObjectStore warmup_store;  // has other bytes
  warmup_store.Put("fish", "a crowd of fish");
  FakeClock clock;
  clock.Advance(std::chrono::seconds(7));
  DemandGauge gauge(clock);
  OriginSource source(store, warmup_store, &gauge);
  const ObjectVersion fish{.key = "fish", .etag = "\"1\"", .size_bytes = 15};
  const auto read = [&](Purpose purpose) {
    ReadingSink sink(gauge);
    EXPECT_TRUE(
        source.Open(fish)->Read({.range = {2, 5}, .purpose = purpose, .deadline = {}}, sink));
    EXPECT_EQ(gauge.Read().under_way_count, 0);
    return sink.under_way_count;
  };
  EXPECT_EQ(read(Purpose::kWarmup), 0);
  EXPECT_EQ(warmup_store.calls().get, 1);
  EXPECT_LT(gauge.Read().quiet_since, Instant{});
  EXPECT_EQ(read(Purpose::kRead), 1);
  EXPECT_EQ(read(Purpose::kReadahead), 1);
  EXPECT_EQ(warmup_store.calls().get, 1);
  EXPECT_EQ(gauge.Read().quiet_since, clock.Now());
}

}  // namespace
}  // namespace shoal
