#include "fs/walk_detector.h"

#include <algorithm>
#include <cstdlib>

namespace shoal {

WalkDetector::Finding WalkDetector::OnRead(Place place, Place place_count) {
  Finding finding;
  if (++read_count_ % kReadsPerStake == 0) GiveBackStake();
  Walk* walk = FindWanting(place);
  if (walk != nullptr) {
    OnForeseen(*walk, place);
  } else {
    walk = FindNear(place);
  }
  if (walk == nullptr) walk = Begin(place, place_count, finding);
  std::erase_if(passed_, [&](const Passed& passed) { return passed.Has(place); });
  recent_.push_back(place);
  if (recent_.size() > kRecentMax) recent_.erase(recent_.begin());
  if (walk != nullptr) {
    walk->used_at = read_count_;
    Advance(*walk, place, finding);
    Extend(*walk, place_count, finding);
  }
  EndSpent(place_count, finding);
  return finding;
}

void WalkDetector::OnNothingThere(Place place) {
  if (Walk* const walk = FindWanting(place)) std::erase(walk->wanted, place);
}

void WalkDetector::OnNoRoom(std::span<const Place> places) {
  if (places.empty()) return;
  Walk* const walk = FindWanting(places.front());
  if (walk == nullptr) return;  // it has ended meanwhile
  for (const Place place : places) std::erase(walk->wanted, place);
  if (walk->Steps(walk->head, places.front()) >= 0) walk->next = places.front();
  walk->window = std::max<size_t>(walk->wanted.size() / 2, 1);
}

std::vector<WalkDetector::Place> WalkDetector::EndAll() {
  std::vector<Place> unread;
  for (const Walk& walk : walks_)
    unread.insert(unread.end(), walk.wanted.begin(), walk.wanted.end());
  walks_.clear();
  passed_.clear();
  recent_.clear();
  return unread;
}

bool WalkDetector::finds_proven() const {
  return std::ranges::any_of(walks_, &Walk::proven);
}

WalkDetector::Walk* WalkDetector::FindWanting(Place place) {
  for (Walk& walk : walks_)
    if (walk.Wants(place)) return &walk;
  return nullptr;
}

// The walk that is closest to it.
WalkDetector::Walk* WalkDetector::FindNear(Place place) {
  Walk* nearest = nullptr;
  Place nearest_steps = 0;
  for (Walk& walk : walks_) {
    if ((place - walk.head) % walk.step != 0) continue;
    const Place steps = walk.Steps(walk.head, place);
    if (steps < -kBehindMax || steps > walk.Steps(walk.head, walk.next) + kJumpMax) continue;
    if (nearest != nullptr && std::abs(steps) >= std::abs(nearest_steps)) continue;
    nearest = &walk;
    nearest_steps = steps;
  }
  return nearest;
}

WalkDetector::Walk* WalkDetector::Begin(Place place, Place place_count, Finding& finding) {
  if (stakes_ == 0) return nullptr;
  Place step = 0;
  for (Place size = 1; size <= kStepMax && step == 0; ++size) {
    if (Leads(place, size, place_count)) {
      step = size;
    } else if (Leads(place, -size, place_count)) {
      step = -size;
    }
  }
  if (step == 0) return nullptr;
  if (walks_.size() == kWalkCountMax)
    End(std::ranges::min_element(walks_, {}, &Walk::used_at), finding);
  --stakes_;
  Place began = place - 2 * step;
  while (RecentlyAt(began - step) != 0) began -= step;
  return &walks_.emplace_back(Walk{.step = step, .began = began, .head = place, .next = place});
}

bool WalkDetector::Leads(Place place, Place step, Place place_count) const {
  const size_t previous_at = RecentlyAt(place - step);
  if (previous_at == 0) return false;
  const Place first = place - 2 * step;
  if (std::abs(step) == 1 && (first < 0 || first >= place_count)) return true;
  const size_t first_at = RecentlyAt(first);
  return first_at != 0 && first_at < previous_at;
}

void WalkDetector::OnForeseen(Walk& walk, Place place) {
  std::erase(walk.wanted, place);
  walk.window = std::min(walk.window + 1, kWindowMax);
  ++foreseen_count_;
  ++walk.foreseen_count;
  if (!walk.proven && walk.foreseen_count >= kProvenReads + 2 * walk.unread_count) {
    walk.proven = true;
    GiveBackStake();
  }
}

void WalkDetector::Advance(Walk& walk, Place place, Finding& finding) {
  if (walk.Steps(walk.head, place) < 0) return;
  walk.head = place + walk.step;
  if (walk.Steps(walk.next, walk.head) > 0) walk.next = walk.head;
  while (!walk.wanted.empty() && walk.Steps(walk.wanted.front(), walk.head) > walk.LateMax()) {
    finding.unread.push_back(walk.wanted.front());
    walk.wanted.pop_front();
    ++walk.unread_count;
    walk.window -= std::min<size_t>(walk.window, 3);
  }
}

void WalkDetector::Extend(Walk& walk, Place place_count, Finding& finding) {
  while (walk.wanted.size() < walk.window && finding.wanted.size() < kWantedMax &&
         walk.Steps(walk.head, walk.next) < static_cast<Place>(walk.window)) {
    const Place place = walk.next;
    if (place < 0 || place >= place_count) return;  // more may come to be known
    if (!MayExtendTo(walk, place)) return;
    walk.next += walk.step;
    if (RecentlyAt(place) != 0 || FindWanting(place) != nullptr) continue;
    walk.wanted.push_back(place);
    finding.wanted.push_back(place);
  }
}

void WalkDetector::EndSpent(Place place_count, Finding& finding) {
  const uint64_t idle_max = kIdleReads * walks_.size();
  for (size_t i = 0; i < walks_.size();) {
    const Walk& walk = walks_[i];
    const bool at_the_end = walk.next < 0 || walk.next >= place_count;
    if (walk.window == 0 || (at_the_end && walk.wanted.empty()) ||
        read_count_ - walk.used_at > idle_max) {
      if (at_the_end) recent_.clear();  // who comes next begins anew
      End(walks_.begin() + static_cast<Walks::difference_type>(i), finding);
    } else {
      ++i;
    }
  }
}

void WalkDetector::End(const Walks::iterator& walk, Finding& finding) {
  finding.unread.insert(finding.unread.end(), walk->wanted.begin(), walk->wanted.end());
  walk->unread_count += walk->wanted.size();
  if (!walk->proven && walk->unread_count <= walk->foreseen_count) GiveBackStake();
  passed_.push_back(walk->passed());
  if (passed_.size() > kWalkCountMax) passed_.pop_front();
  walks_.erase(walk);
}

bool WalkDetector::Walk::Wants(Place place) const {
  return !wanted.empty() && Steps(wanted.front(), place) >= 0 && Steps(place, wanted.back()) >= 0 &&
         std::ranges::find(wanted, place) != wanted.end();
}

bool WalkDetector::MayExtendTo(const Walk& walk, Place place) const {
  return std::ranges::none_of(walks_,
                              [&](const Walk& other) {
                                return &other != &walk && other.step == walk.step &&
                                       other.passed().Has(place);
                              }) &&
         std::ranges::none_of(passed_, [&](const Passed& passed) {
           return passed.step == walk.step && passed.Has(place);
         });
}

size_t WalkDetector::RecentlyAt(Place place) const {
  for (size_t i = recent_.size(); i > 0; --i)
    if (recent_[i - 1] == place) return i;
  return 0;
}

}  // namespace shoal
