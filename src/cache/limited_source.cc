#include "cache/limited_source.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace shoal {
namespace {

// Of one turn, at least: pieces may be small, and each turn may cost two threads a switch.
constexpr uint64_t kTurnBytesMin = 64 * kKiB;

class LimitedSink final : public ByteSink {
 public:
  LimitedSink(const RangeRequest& request, TrafficLimit& limit, ByteSink& next)
      : lane_(request.purpose == Purpose::kWarmup ? TrafficLimit::Lane::kWarmup
                                                  : TrafficLimit::Lane::kDemand),
        deadline_(request.deadline),
        limit_(limit),
        next_(next),
        missing_bytes_(request.range.length) {}

  bool Append(std::span<const std::byte> bytes) override {
    if (bytes.size() > allowed_bytes_ && !AwaitTurn(bytes.size() - allowed_bytes_)) return false;
    allowed_bytes_ -= bytes.size();
    missing_bytes_ -= std::min<uint64_t>(bytes.size(), missing_bytes_);
    return next_.Append(bytes);
  }
  // Of a turn, or of what may pass in a millisecond: who waits behind it does not wait for long.
  std::span<std::byte> Room() override {
    const std::span<std::byte> room = next_.Room();
    const uint64_t rate = limit_.rate();
    if (rate == 0) return room;
    const uint64_t turn = std::max({allowed_bytes_, kTurnBytesMin, rate / 1000});
    return room.first(std::min<uint64_t>(room.size(), turn));
  }
  [[nodiscard]] bool too_late() const { return turn_ == TrafficLimit::Turn::kTooLate; }

 private:
  bool AwaitTurn(uint64_t needed_bytes) {
    const uint64_t rest_bytes = missing_bytes_ - std::min(missing_bytes_, allowed_bytes_);
    const uint64_t bytes = std::max(needed_bytes, std::min(kTurnBytesMin, rest_bytes));
    turn_ = limit_.Await(lane_, bytes, deadline_, wanted_);
    allowed_bytes_ += bytes;
    return turn_ == TrafficLimit::Turn::kCame;
  }

  const TrafficLimit::Lane lane_;
  const Deadline deadline_;
  TrafficLimit& limit_;
  ByteSink& next_;
  const std::function<bool()> wanted_ = [this] { return next_.Append({}); };
  uint64_t missing_bytes_;      // of the request
  uint64_t allowed_bytes_ = 0;  // of the last turn
  TrafficLimit::Turn turn_ = TrafficLimit::Turn::kCame;
};

class LimitedBytes final : public ObjectBytes {
 public:
  LimitedBytes(std::shared_ptr<ObjectBytes> next, TrafficLimit& limit)
      : next_(std::move(next)), limit_(limit) {}

  Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) override {
    LimitedSink limited(request, limit_, sink);
    Result<ServedBy> read = next_->Read(request, limited);
    if (!read && limited.too_late())
      return Fail(Errc::kTimedOut,
                  "g_tier_DadiSdkGetTrafficLimit left no room for it: " + read.error().detail);
    return read;
  }

  std::optional<ServedBy> ReadNow(uint64_t offset, std::span<std::byte> out) override {
    return next_->ReadNow(offset, out);
  }
  std::shared_ptr<const WholeFile> Whole(Deadline deadline) override {
    return next_->Whole(deadline);
  }
  std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown() override {
    return next_->WholeIfKnown();
  }

 private:
  const std::shared_ptr<ObjectBytes> next_;
  TrafficLimit& limit_;
};

}  // namespace

std::shared_ptr<ObjectBytes> LimitedSource::Open(const ObjectVersion& version) {
  return std::make_shared<LimitedBytes>(next_.Open(version), limit_);
}

}  // namespace shoal
