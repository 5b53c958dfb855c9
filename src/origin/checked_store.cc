#include "origin/checked_store.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/log.h"
#include "origin/crc64.h"

namespace shoal {
namespace {

// Keeps what comes until it is told to pass it on, or the rest comes too late.
class HeldBytes final : public ByteSink {
 public:
  // `room`: as large as the object; best the next sink's own.
  HeldBytes(ByteSink& next, std::span<std::byte> room, Duration patience, const Clock& clock)
      : next_(next), room_(room), patience_(patience), clock_(clock) {}

  bool Append(std::span<const std::byte> bytes) override {
    if (passes_on_ || bytes.empty()) return next_.Append(bytes);
    if (bytes.size() > room_.size() - count_) return false;  // more than was asked for
    std::byte* const place = room_.data() + count_;
    if (bytes.data() != place) std::memcpy(place, bytes.data(), bytes.size());
    crc64_ = Crc64(crc64_, {place, bytes.size()});
    if (count_ == 0) began_at_ = clock_.Now();
    count_ += bytes.size();
    if (count_ < room_.size() && clock_.Now() - began_at_ > patience_) return PassOn();
    return next_.Append({});
  }
  std::span<std::byte> Room() override { return passes_on_ ? next_.Room() : room_.subspan(count_); }

  // What came, and all that comes.
  bool PassOn() {
    if (std::exchange(passes_on_, true) || count_ == 0) return true;
    return next_.Append(room_.first(count_));
  }
  [[nodiscard]] bool passes_on() const { return passes_on_; }
  [[nodiscard]] uint64_t crc64() const { return crc64_; }

 private:
  ByteSink& next_;
  const std::span<std::byte> room_;
  const Duration patience_;
  const Clock& clock_;
  size_t count_ = 0;
  uint64_t crc64_ = 0;
  Instant began_at_{};
  bool passes_on_ = false;
};

// Takes a whole object, all at once, and passes a part of it on.
class PartSink final : public ByteSink {
 public:
  PartSink(ByteSink& next, ByteRange part) : next_(next), part_(part) {}
  bool Append(std::span<const std::byte> bytes) override {
    return next_.Append(bytes.empty() ? bytes : bytes.subspan(part_.offset, part_.length));
  }

 private:
  ByteSink& next_;
  const ByteRange part_;
};

std::unique_ptr<std::byte[]> MemoryFor(const ObjectVersion& version) {
  return std::make_unique_for_overwrite<std::byte[]>(version.size_bytes);
}

}  // namespace

Result<GetAnswer> CheckedStore::Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                                    Deadline deadline) {
  const uint64_t size_bytes = version.size_bytes;
  const bool is_doubted = IsDoubted(version);
  if (range.length == size_bytes && size_bytes <= kHeldBytesMax) {
    if (const auto room = sink.Room(); room.size() >= size_bytes)
      return GetWhole(version, room.first(size_bytes), sink, deadline, is_doubted);
    if (size_bytes <= kOwnBytesMax || is_doubted) {
      const auto own = MemoryFor(version);
      return GetWhole(version, {own.get(), size_bytes}, sink, deadline, is_doubted);
    }
  }
  if (!is_doubted) return next_->Get(version, range, sink, deadline);
  const auto own = MemoryFor(version);
  PartSink part(sink, range);
  return GetWhole(version, {own.get(), size_bytes}, part, deadline, is_doubted);
}

Result<GetAnswer> CheckedStore::GetWhole(const ObjectVersion& version, std::span<std::byte> room,
                                         ByteSink& sink, Deadline deadline, bool is_doubted) {
  for (int attempt = 1;; ++attempt) {
    HeldBytes held(sink, room, is_doubted ? Duration::max() : kHeldTimeMax, clock_);
    auto answer = next_->Get(version, {0, room.size()}, held, deadline);
    if (!answer) {
      if (!is_doubted && answer.error().code != Errc::kInterrupted) held.PassOn();
      return answer;
    }
    const bool is_compared = !held.passes_on() && answer->crc64;
    if (is_compared ? *answer->crc64 == held.crc64() : !is_doubted) {
      if (is_compared) Trust(version);
      if (!held.PassOn()) return Fail(Errc::kInterrupted, "the reader wants no more");
      return answer;
    }
    Doubt(version);
    is_doubted = true;
    const std::string wrong = fmt::format(
        "GetObject '{}': what came is not the object: its CRC-64 is {}, and the object's {} "
        "(request {})",
        log::Printable(version.key), held.crc64(),
        answer->crc64 ? std::to_string(*answer->crc64) : "was not told",
        log::Printable(answer->request_id));
    if (attempt == kAttemptsMax || deadline.Passed(clock_))
      return Fail(Errc::kUnusable, wrong + fmt::format("; gave up after {} attempts", attempt));
    log::Warn("{}; trying again", wrong);
  }
}

void CheckedStore::Doubt(const ObjectVersion& version) {
  Trust(version);
  const MutexLock lock(mutex_);
  if (doubted_.size() >= kDoubtedCountMax) doubted_.pop_front();
  doubted_.push_back({version, clock_.Now() + kDoubtedFor});
  doubts_any_ = true;
}

void CheckedStore::Trust(const ObjectVersion& version) {
  if (!doubts_any_) return;
  const MutexLock lock(mutex_);
  std::erase_if(doubted_, [&](const Doubted& doubted) { return doubted.version == version; });
  doubts_any_ = !doubted_.empty();
}

bool CheckedStore::IsDoubted(const ObjectVersion& version) {
  if (!doubts_any_) return false;
  const MutexLock lock(mutex_);
  while (!doubted_.empty() && doubted_.front().until <= clock_.Now()) doubted_.pop_front();
  doubts_any_ = !doubted_.empty();
  return std::ranges::find(doubted_, version, &Doubted::version) != doubted_.end();
}

}  // namespace shoal
