// Tells readers that take the files of a directory in an order from those that do not, and says
// which files they will want next.
//
// Files have places: 0, 1, 2 ... in some order of the directory. A *walk* is a reader that
// goes from place to place by one step, of 1 to kStepMax either way. It is found when three
// places a step apart were read one after the other, whatever was read in between; or two, if
// they are the first or the last of the directory. So it finds `cp -r`, one of several
// processes that share a list by strides, and two that read a half each; several processes
// that go through a list side by side are one walk, whose reads come a little early or late.
//
// What a walk has fetched ahead is its window: kWindowStart files at first, one more for each
// that was read then (so it doubles with each window's worth), three fewer for each that was
// not. A file counts as not read once the walk is a window (or kLateMin files) past it, or has
// ended. A walk ends when all its files were read, when its window is nothing, or when it took no
// part in the reads for a while.
//
// A walk that ends at once leaves kWindowStart files unread, and one that has read r of them
// r + kWindowStart at most. Each walk begins with a stake, and gets it back once it has proven
// to be one, or in the end if it left no more files unread than it has read. There are
// kStakes, and one more each kReadsPerStake reads, so that in any order no more than UnreadMax
// files are fetched and not read.
//
// A function of what it is told: no clock, no lock, no I/O. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace shoal {

class WalkDetector {
 public:
  using Place = int64_t;

  static constexpr Place kStepMax = 16;
  static constexpr size_t kWindowStart = 4;
  static constexpr size_t kWindowMax = 256;
  static constexpr size_t kWalkCountMax = 16;
  static constexpr size_t kWantedMax = 16;  // by one read: no read has to ask for a window
  static constexpr size_t kStakes = 4;
  static constexpr uint64_t kReadsPerStake = 1024;
  static constexpr uint64_t kProvenReads = 8;

  struct Finding {
    std::vector<Place> unread;  // were wanted, and are not any more, or are again:
    std::vector<Place> wanted;  // to be fetched now, in order
  };

  explicit WalkDetector(size_t stakes = kStakes) : stakes_max_(stakes), stakes_(stakes) {}

  // The file at `place` is read, of `place_count` that are known by now.
  Finding OnRead(Place place, Place place_count);
  // There is nothing to fetch at a place that was wanted: it counts neither way.
  void OnNothingThere(Place place);
  // There is no room for the last of those that the last read wanted. The walk goes on with
  // half a window, and comes back to them.
  void OnNoRoom(std::span<const Place> places);

  // The order is another one. What was wanted and is no more.
  std::vector<Place> EndAll();

  [[nodiscard]] bool finds_proven() const;
  // Of all reads, those of what was wanted.
  [[nodiscard]] uint64_t foreseen_count() const { return foreseen_count_; }

  // After `read_count` reads, `foreseen_count` of them of files that were fetched before.
  static constexpr uint64_t UnreadMax(uint64_t read_count, uint64_t foreseen_count) {
    return foreseen_count +
           kWindowStart * (foreseen_count / kProvenReads + kStakes + read_count / kReadsPerStake);
  }

 private:
  static constexpr size_t kRecentMax = 64;
  static constexpr Place kJumpMax = 16;       // steps past what a walk has asked for
  static constexpr Place kBehindMax = 16;     // behind it, of reads that still belong to it
  static constexpr Place kLateMin = 64;       // behind it, that are waited for at least
  static constexpr uint64_t kIdleReads = 64;  // of others, times the walks there are

  // Where a walk has been that ended. Slices of a list read side by side end at their
  // neighbours, and files that were just read need no fetching.
  struct Passed {
    Place step, began, head;

    [[nodiscard]] bool Has(Place place) const {
      return (place - began) % step == 0 && (place - began) / step >= 0 &&
             (head - place) / step > 0;
    }
  };

  struct Walk {
    Place step = 1;
    Place began = 0;  // the first place it was found by
    Place head = 0;   // one step past the furthest place read
    Place next = 0;   // the first that was not asked for; not before the head
    size_t window = kWindowStart;
    std::deque<Place> wanted{};   // asked for and not read, in the order of the walk
    uint64_t foreseen_count = 0;  // of reads of what was wanted
    uint64_t unread_count = 0;
    bool proven = false;
    uint64_t used_at = 0;

    [[nodiscard]] bool Wants(Place place) const;
    [[nodiscard]] Passed passed() const { return {step, began, head}; }
    // Of two places that are whole steps apart.
    [[nodiscard]] Place Steps(Place from, Place to) const { return (to - from) / step; }
    [[nodiscard]] Place LateMax() const {
      const auto window_steps = static_cast<Place>(window);
      return window_steps > kLateMin ? window_steps : kLateMin;
    }
  };
  using Walks = std::deque<Walk>;

  Walk* FindWanting(Place place);
  Walk* FindNear(Place place);
  Walk* Begin(Place place, Place place_count, Finding& finding);
  [[nodiscard]] bool Leads(Place place, Place step, Place place_count) const;
  void OnForeseen(Walk& walk, Place place);
  static void Advance(Walk& walk, Place place, Finding& finding);
  void Extend(Walk& walk, Place place_count, Finding& finding);
  void EndSpent(Place place_count, Finding& finding);
  void End(const Walks::iterator& walk, Finding& finding);
  void GiveBackStake() { stakes_ = stakes_ < stakes_max_ ? stakes_ + 1 : stakes_max_; }
  // The larger, the later; 0: it was not read of late.
  [[nodiscard]] size_t RecentlyAt(Place place) const;

  [[nodiscard]] bool MayExtendTo(const Walk& walk, Place place) const;

  Walks walks_;
  std::deque<Passed> passed_;  // by walks that have ended, the last ones, until it is read again
  std::vector<Place> recent_;  // read last: last
  uint64_t read_count_ = 0;
  uint64_t foreseen_count_ = 0;
  const size_t stakes_max_;
  size_t stakes_;
};

}  // namespace shoal
