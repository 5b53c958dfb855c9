// A RangeSource of made-up objects, with switches for trouble.
//
// The bytes of an object are a function of its key, ETag and offset, so any size costs no
// memory and any mixture of two versions shows. Thread-safe.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/object.h"
#include "base/result.h"
#include "cache/range_source.h"

namespace shoal {

class MemoryRangeSource final : public RangeSource {
 public:
  struct Request {
    ByteRange range;
    Purpose purpose;
    uint64_t rounding_bytes;
  };

  // What [offset, offset + out.size()) of the object holds.
  static void Generate(const ObjectVersion& object, uint64_t offset, std::span<std::byte> out) {
    const uint64_t seed =
        std::hash<std::string>{}(object.key) * 31 + std::hash<std::string>{}(object.etag);
    std::byte* to = out.data();
    for (uint64_t at = offset; at < offset + out.size();) {
      const uint64_t word = Mix(seed + at / 8);
      const size_t skip = at % 8;
      const size_t count = std::min<size_t>(8 - skip, offset + out.size() - at);
      if (count == 8) {
        std::memcpy(to, &word, 8);
      } else {
        std::memcpy(to, reinterpret_cast<const std::byte*>(&word) + skip, count);
      }
      to += count;
      at += count;
    }
  }

  std::shared_ptr<ObjectBytes> Open(const ObjectVersion& version) override {
    return std::make_shared<Bytes>(*this, version);
  }

  // Every fetch from now on stops once it has sent `after_bytes`, until ReleaseFetches.
  void HoldFetches(uint64_t after_bytes = 0) {
    const std::lock_guard lock(mutex_);
    hold_after_bytes_ = after_bytes;
  }
  void ReleaseFetches() {
    const std::lock_guard lock(mutex_);
    hold_after_bytes_.reset();
    ++release_count_;
    changed_.notify_all();
  }
  // Until `count` fetches are stopped at once.
  void WaitForHeld(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_count_ >= count; });
  }
  // Until `bytes` were taken by sinks, all fetches together.
  void WaitForSent(uint64_t bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return sent_bytes_ >= bytes; });
  }
  // Until no fetch is under way.
  void WaitForNone() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return running_count_ == 0; });
  }

  // The next fetch sends `after_bytes` and fails. Call it again for the one after that.
  void FailNext(Error error, uint64_t after_bytes = 0) {
    const std::lock_guard lock(mutex_);
    failures_.push_back({std::move(error), after_bytes});
  }
  // The next fetch sends `after_bytes` and claims to be done.
  void CutShortNext(uint64_t after_bytes) {
    const std::lock_guard lock(mutex_);
    failures_.push_back({std::nullopt, after_bytes});
  }
  // One fetch in `one_in`, picked by `seed`, fails somewhere with kUnreachable.
  void FailAtRandom(uint64_t one_in, uint64_t seed) {
    const std::lock_guard lock(mutex_);
    fail_one_in_ = one_in;
    random_ = seed;
  }
  // As a cache does: what was asked for once is at hand from then on.
  void KeepWhatIsAskedFor() {
    const std::lock_guard lock(mutex_);
    keeping_ = true;
  }
  // As a cache does that has this and nothing else.
  void SetNear(ByteRange range) {
    const std::lock_guard lock(mutex_);
    near_ = range;
  }
  // How much each Append brings.
  void SetChunkBytes(size_t bytes) {
    const std::lock_guard lock(mutex_);
    chunk_bytes_ = bytes;
  }

  [[nodiscard]] std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] size_t fetch_count() const { return requests().size(); }
  [[nodiscard]] uint64_t asked_bytes() const {
    uint64_t sum = 0;
    for (const Request& request : requests()) sum += request.range.length;
    return sum;
  }
  [[nodiscard]] uint64_t sent_bytes() const {
    const std::lock_guard lock(mutex_);
    return sent_bytes_;
  }
  [[nodiscard]] size_t running_count_max() const {
    const std::lock_guard lock(mutex_);
    return running_count_max_;
  }

 private:
  class Bytes final : public ObjectBytes {
   public:
    Bytes(MemoryRangeSource& source, const ObjectVersion& version)
        : source_(source), version_(version) {}
    Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) override {
      return source_.Read(version_, request, sink);
    }
    std::optional<ServedBy> ReadNow(uint64_t offset, std::span<std::byte> out) override {
      if (!source_.WasAskedFor({offset, out.size()})) return std::nullopt;
      Generate(version_, offset, out);
      return ServedBy::kDisk;
    }

    [[nodiscard]] bool IsNear(ByteRange range) const override {
      const std::lock_guard lock(source_.mutex_);
      return range.offset >= source_.near_.offset && range.end() <= source_.near_.end();
    }

   private:
    MemoryRangeSource& source_;
    const ObjectVersion version_;
  };

  struct Failure {
    std::optional<Error> error;  // empty: claims success
    uint64_t after_bytes = 0;
  };
  struct Plan {
    std::optional<Failure> failure;
    size_t chunk_bytes;
  };

  static uint64_t Mix(uint64_t x) {  // a bijection that leaves no pattern
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
  }

  Result<ServedBy> Read(const ObjectVersion& object, const RangeRequest& request, ByteSink& sink) {
    const Plan plan = Begin(request);
    Result<ServedBy> result = Send(object, request, sink, plan);
    const std::lock_guard lock(mutex_);
    --running_count_;
    changed_.notify_all();
    return result;
  }

  bool WasAskedFor(ByteRange range) const {
    const std::lock_guard lock(mutex_);
    if (!keeping_) return false;
    for (uint64_t offset = range.offset; offset < range.end();) {
      const auto covering = std::ranges::find_if(requests_, [&](const Request& request) {
        return request.range.offset <= offset && offset < request.range.end();
      });
      if (covering == requests_.end()) return false;
      offset = covering->range.end();
    }
    return true;
  }

  Plan Begin(const RangeRequest& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back({request.range, request.purpose, request.rounding_bytes});
    running_count_max_ = std::max(running_count_max_, ++running_count_);
    changed_.notify_all();
    Plan plan{std::nullopt, chunk_bytes_};
    if (!failures_.empty()) {
      plan.failure = std::move(failures_.front());
      failures_.pop_front();
    } else if (fail_one_in_ > 0 && (random_ = Mix(random_ + 1)) % fail_one_in_ == 0) {
      plan.failure =
          Failure{Error{Errc::kUnreachable, "at random"}, Mix(random_) % request.range.length};
    }
    return plan;
  }

  Result<ServedBy> Send(const ObjectVersion& object, const RangeRequest& request, ByteSink& sink,
                        const Plan& plan) {
    const uint64_t stop = plan.failure ? std::min(plan.failure->after_bytes, request.range.length)
                                       : request.range.length;
    std::vector<std::byte> chunk(plan.chunk_bytes);
    for (uint64_t sent = 0;;) {
      const uint64_t hold_at = PassGate(sent);
      if (sent == stop) break;
      const uint64_t count =
          std::min({plan.chunk_bytes + uint64_t{0}, stop - sent, hold_at - sent});
      const std::span<std::byte> bytes(chunk.data(), count);
      Generate(object, request.range.offset + sent, bytes);
      if (!sink.Append(bytes)) return Fail(Errc::kInterrupted, "the sink wants no more");
      sent += count;
      const std::lock_guard lock(mutex_);
      sent_bytes_ += count;
      changed_.notify_all();
    }
    if (plan.failure && plan.failure->error) return tl::unexpected(*plan.failure->error);
    return ServedBy::kOrigin;
  }

  // Waits where fetches are held. The furthest to send before coming here again.
  uint64_t PassGate(uint64_t sent) {
    std::unique_lock lock(mutex_);
    if (hold_after_bytes_ && sent >= *hold_after_bytes_) {
      ++held_count_;
      changed_.notify_all();
      const uint64_t seen = release_count_;
      changed_.wait(lock, [&] { return release_count_ != seen; });
      --held_count_;
    }
    if (hold_after_bytes_ && *hold_after_bytes_ > sent) return *hold_after_bytes_;
    return std::numeric_limits<uint64_t>::max();
  }

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Request> requests_;
  ByteRange near_{};
  bool keeping_ = false;
  std::deque<Failure> failures_;
  std::optional<uint64_t> hold_after_bytes_;
  uint64_t release_count_ = 0;
  size_t held_count_ = 0;
  size_t running_count_ = 0;
  size_t running_count_max_ = 0;
  uint64_t sent_bytes_ = 0;
  uint64_t fail_one_in_ = 0;
  uint64_t random_ = 0;
  size_t chunk_bytes_ = 64 * kKiB;
};

}  // namespace shoal
