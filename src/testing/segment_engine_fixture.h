// What tests of a SegmentEngine share: one over a source that can hold its fetches and fail them,
// and reads whose answers can be waited for.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "read/segment_engine.h"
#include "testing/eventually.h"
#include "testing/fake_clock.h"
#include "testing/memory_range_source.h"

namespace shoal {

class SegmentEngineFixture : public ::testing::Test {
 protected:
  using Bytes = std::vector<std::byte>;
  using Outcome = Result<Bytes>;

  static Bytes Expected(const ObjectVersion& object, ByteRange range) {
    Bytes bytes(range.length);
    MemoryRangeSource::Generate(object, range.offset, bytes);
    return bytes;
  }

  static std::future<Outcome> Start(ObjectReader& reader, ByteRange range) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    std::future<Outcome> future = promise->get_future();
    reader.Read(range, [promise](auto result) {
      if (!result) {
        promise->set_value(tl::unexpected(result.error()));
        return;
      }
      Bytes bytes;
      for (const std::span<const std::byte> piece : *result)
        bytes.insert(bytes.end(), piece.begin(), piece.end());
      promise->set_value(std::move(bytes));
    });
    return future;
  }

  static Outcome ReadNow(ObjectReader& reader, ByteRange range) {
    return Start(reader, range).get();
  }

  static bool Ready(const std::future<Outcome>& future) {
    return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  static ObjectVersion Object(uint64_t size_bytes, std::string key = "data/weights.bin") {
    return {.key = std::move(key), .etag = "\"e1\"", .size_bytes = size_bytes};
  }
  // Reads the object from front to back and compares every byte.
  static void ReadThrough(ObjectReader& reader, const ObjectVersion& object, uint64_t step) {
    for (uint64_t offset = 0; offset < object.size_bytes; offset += step) {
      const ByteRange range{offset, std::min(step, object.size_bytes - offset)};
      const Outcome read = ReadNow(reader, range);
      ASSERT_TRUE(read) << read.error().detail;
      ASSERT_TRUE(*read == Expected(object, range)) << "at " << offset;
    }
  }
  SegmentEngine& Engine(uint64_t memory_mib = 64, uint64_t fetch_count_max = 16) {
    engine_ = std::make_unique<SegmentEngine>(
        ReadOptions{.memory_mib = memory_mib, .fetch_count_max = fetch_count_max}, source_, clock_);
    return *engine_;
  }

  // Reads 13 MiB of a new object, so that 8 MiB ahead of there lie in memory and nothing
  // is under way: reads that are made to wait open the window as far as waiting can.
  void ReadUntilWindowIsOpen(ObjectReader& reader) {
    source_.HoldFetches();
    std::vector<std::future<Outcome>> reads;
    for (uint64_t mib = 0; mib < 4; ++mib) reads.push_back(Start(reader, {mib * kMiB, kMiB}));
    source_.ReleaseFetches();
    for (auto& read : reads) ASSERT_TRUE(read.get());
    source_.WaitForNone();  // what a read tells the window comes after its answer
    for (uint64_t mib = 4; mib < 13; ++mib) ASSERT_TRUE(ReadNow(reader, {mib * kMiB, kMiB}));
    source_.WaitForSent(21 * kMiB);
    source_.WaitForNone();
  }

  // A fetch that was under way when its last reader went holds its memory until it notices.
  static void ExpectNothingHeldSoon(SegmentEngine& engine) {
    EXPECT_TRUE(Eventually([&] { return engine.memory_use().used_bytes == 0; }));
  }

  FakeClock clock_;
  MemoryRangeSource source_;
  std::unique_ptr<SegmentEngine> engine_;
};

}  // namespace shoal
