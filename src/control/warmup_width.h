// How many requests of warm-up are worth making at once: as many as make it quicker.
//
// A store that is far away takes its time for each, and a hundred at once bring a hundred times as
// much. Where a processor is what there is too little of, each more than a few makes all of them
// slower: their buffers push each other out of the processor's caches. So the rate is measured
// over a short while, and now and then more are tried, or fewer.
//
// Pure: times and sizes in, a number out. Used by one thread at a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"

namespace shoal {

class WarmupWidth {
 public:
  static constexpr size_t kCountAtFirst = 8;
  static constexpr size_t kCountMin = 2;

  explicit WarmupWidth(size_t count_max)
      : count_max_(count_max), count_(std::min(kCountAtFirst, count_max)) {}

  [[nodiscard]] size_t count() const { return count_; }

  // From now on.
  void SetCountMax(size_t count_max) {
    count_max_ = count_max;
    count_before_ = std::min(count_before_, count_max);
    if (count_ > count_max) Become(count_max);
    rests_left_ = 0;  // more may help now
    next_trial_ = Trial::kMore;
    StartAnew();
  }

  // A request ended, having brought so many bytes.
  void Ended(uint64_t bytes, Instant now) {
    if (unmeasured_count_ > 0) {
      --unmeasured_count_;
      began_ = now;
      return;
    }
    ++ended_count_;
    work_ += kRequestCost + static_cast<double>(bytes);
    const Duration took = now - began_;
    if (took < kMeasuredFor || ended_count_ < kRoundsMeasured * count_) return;
    const double rate = work_ / std::chrono::duration<double>(took).count();
    StartAnew();
    Decide(rate);
  }

  // What is being measured says nothing: readers had the link.
  void StartAnew() {
    unmeasured_count_ = std::max<size_t>(unmeasured_count_, 1);
    ended_count_ = 0;
    work_ = 0;
  }

 private:
  enum class Trial : uint8_t { kNone, kMore, kFewer };

  // A request takes its store and this machine about as much as so many bytes.
  static constexpr double kRequestCost = 64.0 * kKiB;
  static constexpr Duration kMeasuredFor = std::chrono::milliseconds(50);
  static constexpr size_t kRoundsMeasured = 2;
  // Where more help, twice as many bring up to twice as much, and what is measured varies by a
  // tenth anyway. Fewer may cost next to nothing.
  static constexpr double kMoreGain = 1.15;
  // So many times as many are tried next, if the last ones brought nearly as much each as those
  // before: then waiting for the store is all that they did.
  static constexpr size_t kMoreFactor = 2;
  static constexpr size_t kFarFactor = 4;
  static constexpr double kFarGain = 0.85;  // of what there would be at the most
  static constexpr double kFewerLoss = 0.95;
  // Measurements between two trials, after one that was in vain twice as many, and so on.
  static constexpr size_t kRestMin = 4;
  static constexpr size_t kRestFar = 16;  // fewer bring less then, that much is known
  static constexpr size_t kRestMax = 32;

  void Decide(double rate) {
    const bool keeps = trial_ == Trial::kMore    ? rate >= kMoreGain * rate_
                       : trial_ == Trial::kFewer ? rate >= kFewerLoss * rate_
                                                 : true;
    if (!keeps) {
      Become(count_before_);
      rest_count_ = std::min(2 * rest_count_, kRestMax);
      rests_left_ = rest_count_;
      trial_ = Trial::kNone;
      return;
    }
    const double rate_before = std::exchange(rate_, rate);
    if (trial_ == Trial::kNone) {
      if (rests_left_ > 0) --rests_left_;
      if (rests_left_ == 0) Try(next_trial_);
    } else {
      const double gain_max = static_cast<double>(count_) / static_cast<double>(count_before_);
      const bool is_far = trial_ == Trial::kMore && rate >= kFarGain * gain_max * rate_before;
      // The first ones are slow, as they connect, and say less.
      rest_count_ = is_far && count_before_ > kCountAtFirst ? kRestFar : kRestMin;
      Try(trial_, is_far ? kFarFactor : kMoreFactor);  // while it goes well
    }
  }

  void Try(Trial trial, size_t more_factor = kMoreFactor) {
    next_trial_ = trial == Trial::kMore ? Trial::kFewer : Trial::kMore;
    count_before_ = count_;
    const size_t count = trial == Trial::kMore ? std::min(more_factor * count_, count_max_)
                                               : std::max(count_ / 2, std::min(kCountMin, count_));
    if (count == count_) {
      trial_ = Trial::kNone;
      rests_left_ = rest_count_;
      return;
    }
    trial_ = trial;
    Become(count);
  }

  void Become(size_t count) {
    // Those under way began beside as many as there were before.
    unmeasured_count_ = count_;
    count_ = count;
  }

  size_t count_max_;
  size_t count_;

  Trial trial_ = Trial::kNone;
  Trial next_trial_ = Trial::kMore;
  size_t count_before_ = 0;
  double rate_ = 0;  // of the count that is kept unless the trial does well
  size_t rest_count_ = kRestMin;
  size_t rests_left_ = 2;  // the first are slow: they connect

  size_t unmeasured_count_ = 1;
  size_t ended_count_ = 0;
  double work_ = 0;
  Instant began_{};
};

}  // namespace shoal
