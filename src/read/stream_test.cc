#include "read/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "read/stream_detector.h"

namespace shoal {
namespace {

constexpr uint64_t kSegmentBytes = kMiB;

TEST(Stream, AsksForWholeSegmentsUpToItsWindow) {
  Stream stream(128 * kKiB, kSegmentBytes);
  stream.AskedUpTo(kMiB);  // the read's own fetch went on to the segment's end
  EXPECT_EQ(stream.NextFetch(100 * kMiB, 64 * kMiB).length, 0);
  stream.ReadUpTo(kMiB);
  EXPECT_EQ(stream.NextFetch(100 * kMiB, 64 * kMiB), (ByteRange{kMiB, kMiB}));
  stream.AskedUpTo(2 * kMiB);
  EXPECT_EQ(stream.NextFetch(100 * kMiB, 64 * kMiB).length, 0);
}

TEST(Stream, EndsAtTheObjectsEnd) {
  Stream stream(kMiB, kSegmentBytes);
  EXPECT_EQ(stream.NextFetch(kMiB + 100, 64 * kMiB), (ByteRange{kMiB, 100}));
  stream.AskedUpTo(kMiB + 100);
  EXPECT_EQ(stream.NextFetch(kMiB + 100, 64 * kMiB).length, 0);
}

TEST(Stream, AsksForNothingWithoutMemory) {
  const Stream stream(kMiB, kSegmentBytes);
  EXPECT_EQ(stream.NextFetch(100 * kMiB, 0).length, 0);
  EXPECT_EQ(stream.NextFetch(100 * kMiB, 100 * kKiB).length, 0);
}

TEST(Stream, NamesWhatItLeftBehindOnce) {
  Stream stream(0, kSegmentBytes);
  EXPECT_EQ(stream.TakeLeftBehind().length, 0);
  stream.ReadUpTo(10 * kMiB);
  EXPECT_EQ(stream.TakeLeftBehind().end(), 2 * kMiB);
  EXPECT_EQ(stream.TakeLeftBehind().length, 0);
  stream.ReadUpTo(15 * kMiB);
  EXPECT_EQ(stream.TakeLeftBehind(), (ByteRange{2 * kMiB, 5 * kMiB}));
}

TEST(Stream, AsksForWholeSegmentsOfWhateverSize) {
  for (const uint64_t segment_bytes : {64 * kKiB, kMiB, 8 * kMiB}) {
    Stream stream(segment_bytes, segment_bytes);
    for (uint64_t offset = segment_bytes; offset < 100 * kMiB;) {
      const ByteRange next = stream.NextFetch(200 * kMiB, 192 * kMiB);
      ASSERT_EQ(next.offset, offset) << "segments of " << segment_bytes;
      ASSERT_GE(next.length, segment_bytes);
      ASSERT_EQ(next.length % segment_bytes, 0U);
      offset = next.end();
      stream.AskedUpTo(offset);
      stream.ReadUpTo(offset);
    }
  }
}

// --- A link and a reader in virtual time, with the real decisions.

struct Link {
  double first_byte_seconds = 0.020;
  double connection_bytes_per_second = 80e6;
  double total_bytes_per_second = 500e6;
  size_t connection_count_max = 48;
};

struct Reader {
  double bytes_per_second = 4e9;  // between two reads
  uint64_t read_bytes = kMiB;
  size_t reads_at_once = 1;  // the kernel's read-ahead sends several
  uint64_t segment_bytes = kSegmentBytes;
};

struct Transit {
  double seconds = 0;
  size_t fetch_count_max = 0;  // under way at once
  uint64_t window_bytes = 0;   // at the end
  uint64_t window_bytes_max = 0;
  uint64_t asked_bytes = 0;
  std::vector<std::pair<uint64_t, uint64_t>> growth;  // at this offset, to that window
};

class Simulation {
 public:
  Simulation(const Link& link, const Reader& reader, uint64_t object_bytes, uint64_t memory_bytes)
      : link_(link), reader_(reader), object_bytes_(object_bytes), memory_bytes_(memory_bytes) {}

  Transit Go() {
    while (answered_until_ < object_bytes_) {
      IssueReads();
      Transfer();
      now_seconds_ += kStepSeconds;
      AnswerReads();
    }
    run_.seconds = now_seconds_;
    run_.window_bytes = stream_->window().window_bytes();
    return run_;
  }

 private:
  static constexpr double kStepSeconds = 50e-6;

  struct Fetch {
    ByteRange range;
    double began_seconds = -1;  // < 0: queued
    double received_bytes = 0;
    bool told = false;  // the controller, that it is done
  };
  struct PendingRead {
    ByteRange range;
    bool waited;
  };

  void IssueReads() {
    while (reads_.size() < reader_.reads_at_once && next_read_ < object_bytes_ &&
           now_seconds_ >= reader_free_seconds_) {
      const ByteRange range{next_read_, std::min(reader_.read_bytes, object_bytes_ - next_read_)};
      next_read_ = range.end();
      const auto finding = detector_.OnRead(range);
      ASSERT_NE(finding.stream, kNoStream);
      if (!stream_) stream_.emplace(finding.frontier, reader_.segment_bytes);
      stream_->ReadUpTo(finding.frontier);
      if (asked_until_ < range.end()) Ask({asked_until_, range.end() - asked_until_});
      for (ByteRange next = stream_->NextFetch(object_bytes_, memory_bytes_); next.length > 0;
           next = stream_->NextFetch(object_bytes_, memory_bytes_))
        Ask(next);
      reads_.push_back({range, !Arrived(range)});
    }
  }

  void Ask(ByteRange range) {
    ASSERT_EQ(range.offset, asked_until_);
    asked_until_ = range.end();
    stream_->AskedUpTo(range.end());
    run_.asked_bytes += range.length;
    fetches_.push_back({range});
  }

  void Transfer() {
    size_t running_count = 0;
    size_t sending_count = 0;
    for (Fetch& fetch : fetches_) {
      if (Done(fetch)) continue;
      if (fetch.began_seconds < 0) {
        if (running_count == link_.connection_count_max) continue;
        fetch.began_seconds = now_seconds_;
      }
      ++running_count;
      sending_count += Sends(fetch);
    }
    run_.fetch_count_max = std::max(run_.fetch_count_max, running_count);
    if (sending_count == 0) return;
    const double rate = std::min(link_.connection_bytes_per_second,
                                 link_.total_bytes_per_second / static_cast<double>(sending_count));
    double arrived_bytes = 0;
    for (Fetch& fetch : fetches_) {
      if (!Sends(fetch)) continue;
      fetch.received_bytes += rate * kStepSeconds;
      arrived_bytes += rate * kStepSeconds;
      if (!Done(fetch) || std::exchange(fetch.told, true)) continue;
      const double seconds = now_seconds_ + kStepSeconds - fetch.began_seconds;
      stream_->window().OnFetched(fetch.range.length, Time(link_.first_byte_seconds),
                                  Time(seconds - link_.first_byte_seconds));
    }
    stream_->window().OnArrived(static_cast<uint64_t>(arrived_bytes), Instant(Time(now_seconds_)));
  }
  [[nodiscard]] static Duration Time(double seconds) {
    return Duration(static_cast<int64_t>(seconds * 1e9));
  }
  [[nodiscard]] static bool Done(const Fetch& fetch) {
    return fetch.received_bytes >= static_cast<double>(fetch.range.length);
  }
  [[nodiscard]] bool Sends(const Fetch& fetch) const {
    return fetch.began_seconds >= 0 && !Done(fetch) &&
           now_seconds_ >= fetch.began_seconds + link_.first_byte_seconds;
  }
  [[nodiscard]] bool Arrived(ByteRange range) const {
    return std::all_of(fetches_.begin(), fetches_.end(), [&](const Fetch& fetch) {
      const uint64_t needed_end = std::min(range.end(), fetch.range.end());
      return needed_end <= fetch.range.offset || fetch.range.offset >= range.end() ||
             fetch.received_bytes >= static_cast<double>(needed_end - fetch.range.offset);
    });
  }

  void AnswerReads() {
    while (!reads_.empty() && Arrived(reads_.front().range)) {
      const PendingRead read = reads_.front();
      reads_.pop_front();
      answered_until_ = read.range.end();
      const uint64_t before = stream_->window().window_bytes();
      stream_->window().OnServed(read.range.length, read.waited);
      const uint64_t after = stream_->window().window_bytes();
      if (after != before) run_.growth.emplace_back(answered_until_, after);
      run_.window_bytes_max = std::max(run_.window_bytes_max, after);
      // One that did not wait begins as soon as the reader was free, between two steps.
      if (read.waited) reader_free_seconds_ = now_seconds_;
      reader_free_seconds_ += static_cast<double>(read.range.length) / reader_.bytes_per_second;
      while (!fetches_.empty() && fetches_.front().range.end() <= answered_until_)
        fetches_.pop_front();
      if (reader_free_seconds_ > now_seconds_ + kStepSeconds) return;
    }
  }

  const Link link_;
  const Reader reader_;
  const uint64_t object_bytes_;
  const uint64_t memory_bytes_;
  StreamDetector detector_;
  std::optional<Stream> stream_;
  std::deque<Fetch> fetches_;
  std::deque<PendingRead> reads_;
  uint64_t next_read_ = 0;
  uint64_t asked_until_ = 0;
  uint64_t answered_until_ = 0;
  double now_seconds_ = 0;
  double reader_free_seconds_ = 0;
  Transit run_;
};

// Of the time the slowest part alone would take, how much the run took.
double Efficiency(const char* name, const Link& link, const Reader& reader, uint64_t object_bytes,
                  Transit* out = nullptr, uint64_t memory_bytes = 192 * kMiB) {
  const Transit run = Simulation(link, reader, object_bytes, memory_bytes).Go();
  const double limit = std::min(link.total_bytes_per_second, reader.bytes_per_second);
  const double efficiency = static_cast<double>(object_bytes) / limit / run.seconds;
  std::printf("%-44s %.3f of the limit, %2zu fetches at once, window %3lu MiB, most %3lu MiB;",
              name, efficiency, run.fetch_count_max, run.window_bytes / kMiB,
              run.window_bytes_max / kMiB);
  for (const auto& [offset, window] : run.growth)
    std::printf(" %lu@%lu", window / kMiB, offset / kMiB);
  std::printf("\n");
  EXPECT_EQ(run.asked_bytes, object_bytes);
  if (out != nullptr) *out = run;
  return efficiency;
}

TEST(StreamOnALink, FillsTwentyMillisecondsAtFiveHundredMegabytesASecond) {
  Transit run;
  EXPECT_GE(Efficiency("20 ms, 80 MB/s each, 500 MB/s", {}, {}, 1024 * kMiB, &run), 0.92);
  EXPECT_GE(run.fetch_count_max, 8);
  EXPECT_GE(Efficiency("the same, kernel read-ahead", {}, {.reads_at_once = 4}, 1024 * kMiB), 0.92);
  EXPECT_GE(Efficiency("the same, reads of 128 KiB", {}, {.read_bytes = 128 * kKiB}, 1024 * kMiB),
            0.92);
  EXPECT_GE(Efficiency("20 ms, 500 MB/s for one", {.connection_bytes_per_second = 500e6}, {},
                       1024 * kMiB),
            0.92);
}

TEST(StreamOnALink, FillsAFastLinkThatIsFarAway) {
  const Link link{.connection_bytes_per_second = 1e9, .total_bytes_per_second = 1e9};
  EXPECT_GE(Efficiency("20 ms, 1 GB/s, 1 GiB", link, {}, 1024 * kMiB), 0.80);
  EXPECT_GE(Efficiency("20 ms, 1 GB/s, 4 GiB", link, {}, 4096 * kMiB), 0.92);
  const Link faster{.connection_bytes_per_second = 2e9, .total_bytes_per_second = 1e12};
  EXPECT_GE(Efficiency("20 ms, unlimited, reader of 2 GB/s, 4 GiB", faster,
                       {.bytes_per_second = 2e9}, 4096 * kMiB),
            0.80);
}

TEST(StreamOnALink, FillsAHundredMilliseconds) {
  const Link link{.first_byte_seconds = 0.1};
  EXPECT_GE(Efficiency("100 ms, 80 MB/s each, 500 MB/s, 1 GiB", link, {}, 1024 * kMiB), 0.70);
  EXPECT_GE(Efficiency("100 ms, 80 MB/s each, 500 MB/s, 8 GiB", link, {}, 8192 * kMiB), 0.92);
}

TEST(StreamOnALink, StaysSmallWhereTheOriginIsNear) {
  // The link is as fast as the machine, whoever waits, and more requests bring no more.
  Transit run;
  const Link link{.first_byte_seconds = 0.0003,
                  .connection_bytes_per_second = 1.8e9,
                  .total_bytes_per_second = 2.6e9};
  EXPECT_GE(Efficiency("loopback", link, {}, 4096 * kMiB, &run), 0.92);
  EXPECT_LE(run.fetch_count_max, 6);
  EXPECT_LE(run.window_bytes_max, 12 * kMiB);
}

TEST(StreamOnALink, IsFilledByBlocksOfWhateverSize) {
  for (const uint64_t segment_bytes : {64 * kKiB, 256 * kKiB, 4 * kMiB, 8 * kMiB}) {
    const Reader reader{.segment_bytes = segment_bytes};
    EXPECT_GE(Efficiency("20 ms, 80 MB/s each, 500 MB/s", {}, reader, 1024 * kMiB), 0.90)
        << "blocks of " << segment_bytes;
    const Link far{.first_byte_seconds = 0.1};
    EXPECT_GE(Efficiency("100 ms, 80 MB/s each, 500 MB/s", far, reader, 8192 * kMiB), 0.90)
        << "blocks of " << segment_bytes;
  }
}

TEST(StreamOnALink, SlowReaderTakesLittleMemory) {
  Transit run;
  EXPECT_GE(Efficiency("a reader of 50 MB/s", {}, {.bytes_per_second = 50e6}, 256 * kMiB, &run),
            0.92);
  EXPECT_LE(run.window_bytes_max, 8 * kMiB);
}

}  // namespace
}  // namespace shoal
