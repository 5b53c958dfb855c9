#include "cache/tier.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "cache/fill_sink.h"
#include "cache/flight_table.h"
#include "cache/object_meta.h"
#include "cache/object_places.h"

namespace shoal {
namespace {

// What is read from a volume at once.
constexpr uint64_t kReadBytesMax = kMiB;
// At 50 MB/s a connection its bytes take 5 ms, and another request's first byte often 20.
constexpr uint64_t kFetchedWholeBytesMax = 256 * kKiB;
constexpr size_t kPromoterThreads = 1;
// Each holds a file that cannot be evicted meanwhile.
constexpr uint32_t kPromotionsMax = 16;

class NoReader final : public ByteSink {
 public:
  bool Append(std::span<const std::byte>) override { return true; }
};

}  // namespace

class Tier::Bytes final : public ObjectBytes,
                          public Delivery,
                          public std::enable_shared_from_this<Bytes> {
 public:
  enum class For : uint8_t { kReader, kDelivery };

  Bytes(Tier& tier, const ObjectVersion& version, For whom)
      : tier_(tier),
        name_(tier.NameOf(version)),
        size_bytes_(version.size_bytes),
        next_(tier.next_.Open(version)) {
    if (whom == For::kReader) {
      const bool seen_before = tier.opened_.Note(name_.digest);
      keep_ = tier.options_.keep_at_first || seen_before;
    }
    for (const size_t index : tier.OrderFor(name_.digest)) {
      CacheVolume& volume = *tier.volumes_[index];
      places_.push_back({&volume, volume.Open(name_.digest, name_.identity, size_bytes_)});
    }
  }

  Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) override {
    for (const Place& place : places_) place.volume->Load(place.use, request.deadline);
    const Instant patient_until = PatientUntil(request.deadline, clock());
    ServedBy furthest = tier_.options_.kind;
    for (uint64_t offset = request.range.offset; offset < request.range.end();) {
      const Run run = NextRun(offset, request.range.end(), places_);
      RangeRequest rest = request;
      rest.range = {offset, run.end - offset};
      if (run.place != nullptr) {
        ASSIGN_OR_RETURN(const uint64_t sent_until,
                         ReadFrom(*run.place, rest.range, request.deadline, sink));
        if (sent_until > offset) {
          offset = sent_until;
          continue;
        }
      }
      // What a volume has and does not give in time is worth no more waiting.
      const bool is_missing = run.place == nullptr;
      ASSIGN_OR_RETURN(
          const Progress got,
          ReadNext(rest, is_missing, is_missing ? patient_until : Instant::min(), sink));
      furthest = std::max(furthest, got.by);
      offset = got.until;
    }
    return furthest;
  }

  std::optional<ServedBy> ReadNow(uint64_t offset, std::span<std::byte> out) override {
    for (const Place& place : places_)
      if (place.volume->ReadNow(*place.use, offset, out)) return tier_.options_.kind;
    return next_->ReadNow(offset, out);
  }

  [[nodiscard]] bool IsNear(ByteRange range) const override {
    for (uint64_t offset = range.offset; offset < range.end();) {
      const Run run = PresentRun(offset, range.end(), places_);
      if (run.place == nullptr && !next_->IsNear({offset, run.end - offset})) return false;
      offset = run.end;
    }
    return true;
  }

  std::shared_ptr<const WholeFile> Whole(Deadline deadline) override {
    for (const Place& place : places_)
      if (auto whole = place.volume->Whole(place.use, deadline)) return whole;
    return OrPromote(next_->Whole(deadline));
  }

  std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown() override {
    for (const Place& place : places_) {
      auto whole = place.volume->WholeIfKnown(place.use);
      if (!whole || *whole != nullptr) return whole;
    }
    auto below = next_->WholeIfKnown();
    if (below) OrPromote(*below);
    return below;
  }

  bool Has(ByteRange range, Deadline deadline) override {
    for (const Place& place : places_) place.volume->Load(place.use, deadline);
    const Place* const place = PlaceToComplete(places_);
    if (place == nullptr) return false;
    for (uint64_t offset = range.offset; offset < range.end();) {
      const Run run = PresentRun(offset, range.end(), Places(place, 1));
      if (run.place == nullptr) return false;
      offset = run.end;
    }
    return true;
  }

  Result<> Bring(ByteRange range, Watcher& watcher, Deadline deadline) override {
    for (const Place& place : places_) place.volume->Load(place.use, deadline);
    const Place* const place = PlaceToComplete(places_);
    if (place == nullptr)
      return Fail(Errc::kBusy, "no directory of the cache can be written to at the moment");
    const Instant patient_until = PatientUntil(deadline, clock());
    for (uint64_t offset = range.offset; offset < range.end();) {
      const Run run = NextRun(offset, range.end(), Places(place, 1));
      if (run.place == nullptr) {
        const Miss miss{.range = {offset, run.end - offset},
                        .need = Miss::Need::kStored,
                        .patient_until = patient_until};
        ASSIGN_OR_RETURN(offset, BringMissing(*place, miss, watcher, deadline));
      } else {
        watcher.OnFound(run.end - offset);
        offset = run.end;
      }
    }
    return {};
  }

  Arrival Arrive(Deadline deadline) override {
    for (const Place& place : places_)
      if (!place.volume->WaitUntilSettled(place.use, deadline)) return Arrival::kPending;
    for (const Place& place : places_) {
      if (!IsWholeIn(place)) continue;
      place.volume->Favour(name_.digest);
      return Arrival::kWhole;
    }
    return size_bytes_ == 0 ? Arrival::kWhole : Arrival::kIncomplete;
  }

 private:
  struct Progress {
    uint64_t until;
    ServedBy by;
  };

  // Answers how far it came: to range.offset when it cannot be read there.
  Result<uint64_t> ReadFrom(const Place& place, ByteRange range, Deadline deadline,
                            ByteSink& sink) {
    uint64_t offset = range.offset;
    while (offset < range.end()) {
      const ByteRange part{offset, std::min(kReadBytesMax, range.end() - offset)};
      const auto chunk = place.volume->Read(place.use, part, deadline);
      if (chunk == nullptr) break;
      if (!sink.Append(chunk->span())) return Fail(Errc::kInterrupted, "the reader wants no more");
      offset += part.length;
    }
    return offset;
  }

  // From the next source, or from who is fetching it. It may come no further than it was: then
  // the volumes have to be looked at again.
  Result<Progress> ReadNext(const RangeRequest& request, bool is_missing, Instant patient_until,
                            ByteSink& sink) {
    const Place* const place = keep_ ? PlaceToKeep(places_) : nullptr;
    if (place == nullptr) {
      ASSIGN_OR_RETURN(const ServedBy by, next_->Read(request, sink));
      return Progress{request.range.end(), by};
    }
    const Miss miss{
        .range = request.range,
        .need = request.purpose == Purpose::kRead ? Miss::Need::kNow : Miss::Need::kSoon,
        .patient_until = patient_until};
    auto flight = is_missing ? ClaimWhole(*place, miss) : nullptr;
    if (flight == nullptr) flight = place->use->flights.Claim(miss);
    if (flight == nullptr) return ReadFromFlight(*place, miss, request.purpose, sink);
    if (is_missing && !StillMissing(*flight, places_))
      return Progress{request.range.offset, tier_.options_.kind};
    const ByteRange wanted = Overlap(flight->range(), request.range);
    if (wanted.length == 0) return Progress{request.range.offset, tier_.options_.kind};
    FillSink fill(flight->range(), wanted, size_bytes_, tier_.options_.page_bytes,
                  place->volume->pool(), sink, flight.get(),
                  [place](CacheChunk chunk) { place->volume->Fill(place->use, std::move(chunk)); });
    RangeRequest claimed = request;
    claimed.range = flight->range();
    claimed.rounding_bytes += claimed.range.length - wanted.length;
    Result<ServedBy> read = next_->Read(claimed, fill);
    fill.Finish();
    if (read) return Progress{wanted.end(), *read};
    if (wanted == claimed.range) return tl::unexpected(std::move(read).error());
    // More than was asked for: the rest of that may come by itself, if it did not come already.
    const uint64_t until = fill.handed_on_until();
    if (until < wanted.end() &&
        (read.error().code != Errc::kUnreachable || request.deadline.Passed(clock())))
      return tl::unexpected(std::move(read).error());
    return Progress{until, ServedBy::kOrigin};
  }

  // Whoever first asks for a part of a small object has the rest for little, in the same request.
  // Null: it is not that, or somebody brings some of it. A tier above another leaves it to that,
  // which knows what is there.
  std::unique_ptr<FlightTable::Flight> ClaimWhole(const Place& place, const Miss& miss) {
    const ByteRange all{0, size_bytes_};
    if (size_bytes_ > kFetchedWholeBytesMax || miss.range == all || !tier_.options_.keep_at_first)
      return nullptr;
    if (asked_.exchange(true)) return nullptr;  // or a cache that keeps nothing would ask for all
    const Run run = PresentRun(0, size_bytes_, places_);
    if (run.place != nullptr || run.end < size_bytes_) return nullptr;
    auto flight = place.use->flights.Claim({all, miss.need, miss.patient_until});
    return flight != nullptr && flight->range() == all ? std::move(flight) : nullptr;
  }

  Result<Progress> ReadFromFlight(const Place& place, const Miss& miss, Purpose purpose,
                                  ByteSink& sink) {
    std::optional<DemandGauge::Fetch> demand;
    if (tier_.demand_ != nullptr && purpose != Purpose::kWarmup) demand.emplace(*tier_.demand_);
    const FlightTable::Part part = place.use->flights.AwaitBytes(miss);
    if (part.bytes.empty()) return Progress{miss.range.offset, tier_.options_.kind};
    if (!sink.Append(part.bytes)) return Fail(Errc::kInterrupted, "the reader wants no more");
    // It was waited for as if this read had fetched it.
    return Progress{miss.range.offset + part.bytes.size(), ServedBy::kOrigin};
  }

  // How far it came, as ReadNext.
  Result<uint64_t> BringMissing(const Place& place, const Miss& miss, ByteSink& watcher,
                                Deadline deadline) {
    FlightTable& flights = place.use->flights;
    const auto flight = flights.Claim(miss);
    if (flight == nullptr) {
      flights.AwaitStored(miss);
      if (!watcher.Append({})) return Fail(Errc::kInterrupted, "nobody wants it any more");
      return miss.range.offset;
    }
    if (!StillMissing(*flight, Places(&place, 1))) return miss.range.offset;
    const ByteRange range = flight->range();
    FillSink fill(range, range, size_bytes_, tier_.options_.page_bytes, place.volume->pool(),
                  watcher, flight.get(), [&](CacheChunk chunk) {
                    (void)place.volume->FillPatiently(place.use, std::move(chunk), deadline);
                  });
    const Result<ServedBy> read =
        next_->Read({.range = range, .purpose = Purpose::kWarmup, .deadline = deadline}, fill);
    fill.Finish();
    if (!read) return tl::unexpected(read.error());
    return range.end();
  }

  // Others may have brought it between the look at the volumes and the claim. False: they did;
  // and if they brought what is behind the beginning, the flight ends there.
  static bool StillMissing(FlightTable::Flight& flight, Places places) {
    const ByteRange range = flight.range();
    const Run run = NextRun(range.offset, range.end(), places);
    if (run.place != nullptr) return false;
    if (run.end < range.end()) flight.Shorten(run.end);
    return true;
  }

  [[nodiscard]] const Clock& clock() const { return places_.front().volume->clock(); }

  // `whole` is the next tier's. One that is opened again is copied from there.
  std::shared_ptr<const WholeFile> OrPromote(std::shared_ptr<const WholeFile> whole) {
    const Place* const place = whole != nullptr && keep_ ? PlaceToKeep(places_) : nullptr;
    if (place == nullptr || size_bytes_ > place->volume->capacity_bytes() / 2 ||
        promoting_.exchange(true))
      return whole;
    if (++tier_.promotion_count_ > kPromotionsMax) {
      --tier_.promotion_count_;
      promoting_ = false;
      return whole;
    }
    tier_.promoter_.Run([self = shared_from_this(), whole, place] {
      self->Promote(*whole, *place);
      self->promoting_ = false;
      --self->tier_.promotion_count_;
    });
    return whole;
  }

  void Promote(const WholeFile& whole, const Place& place) {
    NoReader nobody;
    const ByteRange all{0, size_bytes_};
    FillSink fill(all, all, size_bytes_, tier_.options_.page_bytes, place.volume->pool(), nobody,
                  nullptr,
                  [&](CacheChunk chunk) { place.volume->Fill(place.use, std::move(chunk)); });
    std::vector<std::byte> buffer(std::min(kReadBytesMax, size_bytes_));
    for (uint64_t offset = 0; offset < size_bytes_;) {
      const ssize_t count =
          pread(whole.fd(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;  // the next tier will find out by itself
      // Here it gets checksums of its own: nobody would find it wrong any more.
      if (!whole.MayBeBelieved()) return;
      fill.Append(std::span(buffer).first(static_cast<size_t>(count)));
      offset += static_cast<uint64_t>(count);
    }
    fill.Finish();
  }

  Tier& tier_;
  const Name name_;
  const uint64_t size_bytes_;
  const std::shared_ptr<ObjectBytes> next_;
  bool keep_ = true;
  std::atomic<bool> asked_{false};  // for a part, of what is not here
  std::vector<Place> places_;       // in the order in which they are preferred; constant
  std::atomic<bool> promoting_{false};
};

Tier::Tier(const TierOptions& options, std::vector<std::unique_ptr<CacheVolume>> volumes,
           RangeSource& next, DemandGauge* demand)
    : options_(options),
      volumes_(std::move(volumes)),
      next_(next),
      demand_(demand),
      promoter_("cache-promote", kPromoterThreads) {}

std::shared_ptr<ObjectBytes> Tier::Open(const ObjectVersion& version) {
  if (version.size_bytes > kObjectBytesMax) return next_.Open(version);  // so it says
  return std::make_shared<Bytes>(*this, version, Bytes::For::kReader);
}

std::shared_ptr<Delivery> Tier::Deliver(const ObjectVersion& version) {
  return std::make_shared<Bytes>(*this, version, Bytes::For::kDelivery);
}

Tier::Name Tier::NameOf(const ObjectVersion& version) const {
  std::string identity = Identity(options_.bucket_identity, version);
  const ObjectDigest digest = ObjectDigest::Of(identity);
  return {std::move(identity), digest};
}

std::vector<size_t> Tier::OrderFor(const ObjectDigest& digest) const {
  std::vector<std::pair<uint64_t, size_t>> ranked;
  for (size_t i = 0; i < volumes_.size(); ++i)
    ranked.emplace_back(ObjectDigest::Of(digest.Hex() + volumes_[i]->name()).words[0], i);
  std::ranges::sort(ranked);
  std::vector<size_t> order;
  for (const auto& [rank, index] : ranked) order.push_back(index);
  return order;
}

Tier::Coverage Tier::Cover(const ObjectVersion& version, Deadline deadline) {
  if (version.size_bytes == 0) return {.cached_bytes = 0, .whole = true};
  if (version.size_bytes > kObjectBytesMax) return {};
  const Name name = NameOf(version);
  Coverage best;
  for (const size_t index : OrderFor(name.digest)) {
    const CacheVolume::Presence presence =
        volumes_[index]->Look(name.digest, name.identity, version.size_bytes, deadline);
    if (presence.bytes > best.cached_bytes) best = {presence.bytes, presence.whole};
    if (best.whole) break;
  }
  return best;
}

void Tier::Favour(const ObjectVersion& version) {
  const ObjectDigest digest = NameOf(version).digest;
  for (const auto& volume : volumes_) volume->Favour(digest);
}

size_t Tier::PlaceOf(const ObjectVersion& version) const {
  const std::vector<size_t> order = OrderFor(NameOf(version).digest);
  const auto working =
      std::ranges::find_if(order, [this](size_t index) { return volumes_[index]->usable(); });
  return working == order.end() ? order.front() : *working;
}

}  // namespace shoal
