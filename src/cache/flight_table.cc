#include "cache/flight_table.h"

#include <algorithm>
#include <utility>

namespace shoal {

Instant PatientUntil(Deadline deadline, const Clock& clock) {
  const Duration remaining = deadline.Remaining(clock);
  return remaining == Duration::max() ? Instant::max() : clock.Now() + remaining / 2;
}

// --- A flight

FlightTable::Flight::~Flight() {
  const MutexLock lock(table_.mutex_);
  const uint64_t begin = state_->stored_until;
  const uint64_t end = state_->end;
  table_.flights_.erase(state_);
  table_.Wake(begin, end, Event::kLeft);
}

void FlightTable::Flight::Shorten(uint64_t end) {
  const MutexLock lock(table_.mutex_);
  range_.length = end - range_.offset;
  const uint64_t before = state_->end;
  state_->end = std::max(table_.EndOfPages(end), state_->stored_until);
  table_.Wake(state_->end, before, Event::kLeft);
}

void FlightTable::Flight::Arrived(Memory memory, uint64_t offset, uint64_t until) {
  const MutexLock lock(table_.mutex_);
  const uint64_t before = std::max(state_->arrived_until, offset);
  std::swap(state_->memory, memory);
  state_->memory_offset = offset;
  state_->arrived_until = until;
  state_->moved = table_.clock_.Now();
  table_.Wake(before, until, Event::kArrived);
}

void FlightTable::Flight::Storing() {
  const MutexLock lock(table_.mutex_);
  state_->storing = true;
  state_->moved = table_.clock_.Now();
}

void FlightTable::Flight::Stored(uint64_t until) {
  Memory dropped;  // freed after the lock
  const MutexLock lock(table_.mutex_);
  dropped = std::move(state_->memory);
  state_->memory = nullptr;
  table_.Wake(state_->stored_until, until, Event::kLeft);
  state_->stored_until = until;
  state_->arrived_until = until;
  state_->storing = false;
  state_->moved = table_.clock_.Now();
}

// --- Those who miss something

std::unique_ptr<FlightTable::Flight> FlightTable::Claim(const Miss& miss) {
  const Instant now = clock_.Now();
  const MutexLock lock(mutex_);
  if (Bringing(miss, now) != nullptr) return nullptr;
  const uint64_t begin = miss.range.offset;
  uint64_t end = miss.range.end();
  if (now < miss.patient_until)
    for (const State& flight : flights_)
      if (flight.stored_until > begin && flight.stored_until < std::min(end, flight.end) &&
          !IsStalled(flight, miss.need, now))
        end = flight.stored_until;
  const uint64_t first_page = (begin + page_bytes_ - 1) / page_bytes_ * page_bytes_;
  flights_.push_front({.stored_until = first_page,
                       .arrived_until = first_page,
                       .end = std::max(EndOfPages(end), first_page),
                       .memory_offset = first_page,
                       .memory = nullptr,
                       .moved = now});
  return std::unique_ptr<Flight>(new Flight(*this, flights_.begin(), {begin, end - begin}));
}

FlightTable::Part FlightTable::AwaitBytes(const Miss& miss) {
  const uint64_t offset = miss.range.offset;
  const Instant now = clock_.Now();
  const MutexLock lock(mutex_);
  const State* flight = Bringing(miss, now);
  if (flight != nullptr && !flight->HasInHand(offset)) {
    Wait(miss, now);
    flight = Bringing(miss, now);
  }
  if (flight == nullptr || !flight->HasInHand(offset)) return {};
  const uint64_t end = std::min(flight->arrived_until, miss.range.end());
  return {flight->memory,
          std::span(flight->memory.get() + (offset - flight->memory_offset), end - offset)};
}

void FlightTable::AwaitStored(const Miss& miss) {
  const Instant now = clock_.Now();
  const MutexLock lock(mutex_);
  if (Bringing(miss, now) != nullptr) Wait(miss, now);
}

uint64_t FlightTable::EndOfPages(uint64_t end) const {
  return end == object_bytes_ ? end : end / page_bytes_ * page_bytes_;
}

bool FlightTable::IsStalled(const State& flight, Miss::Need need, Instant now) {
  const Duration still = now - flight.moved;
  if (flight.storing) return need != Miss::Need::kStored && still >= kStoringMax;
  return still >= kStallMax;
}

const FlightTable::State* FlightTable::Bringing(const Miss& miss, Instant now) const {
  const uint64_t offset = miss.range.offset;
  const State* soonest = nullptr;
  for (const State& flight : flights_) {
    if (offset < flight.stored_until || offset >= flight.end) continue;
    // What is here already takes no waiting at all.
    if (miss.need != Miss::Need::kStored && flight.HasInHand(offset)) return &flight;
    if (now >= miss.patient_until || IsStalled(flight, miss.need, now)) continue;
    if (miss.need == Miss::Need::kNow &&
        offset > flight.arrived_until + std::max(kAheadBytes, kAheadFactor * miss.range.length))
      continue;
    if (soonest == nullptr || flight.arrived_until > soonest->arrived_until) soonest = &flight;
  }
  return soonest;
}

// Until something happened to the bytes at its beginning, or it is time to look.
void FlightTable::Wait(const Miss& miss, Instant now) {
  Waiter waiter{.miss = miss, .woken = {}};
  waiters_.push_back(&waiter);
  const Duration patience =
      miss.patient_until == Instant::max() ? Duration::max() : miss.patient_until - now;
  waiter.woken.WaitFor(mutex_, std::min(kWaitMax, patience));
  std::erase(waiters_, &waiter);
}

void FlightTable::Wake(uint64_t begin, uint64_t end, Event event) {
  for (Waiter* const waiter : waiters_) {
    const uint64_t offset = waiter->miss.range.offset;
    if (offset < begin || offset >= end) continue;
    if (event == Event::kArrived && waiter->miss.need == Miss::Need::kStored) continue;
    waiter->woken.NotifyOne();
  }
}

}  // namespace shoal
