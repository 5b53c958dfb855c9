#include "cache/tier.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "cache/fill_sink.h"
#include "cache/object_meta.h"

namespace shoal {
namespace {

// What is read from a volume at once.
constexpr uint64_t kReadBytesMax = kMiB;
// Pages that are here are fetched all the same if they lie between others that are not and
// are so few: one request costs less than two.
constexpr uint64_t kBridgedBytesMax = 128 * kKiB;
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
    ServedBy furthest = tier_.options_.kind;
    for (uint64_t offset = request.range.offset; offset < request.range.end();) {
      const Run run = NextRun(offset, request.range.end(), places_);
      if (run.place != nullptr) {
        const ByteRange range{offset, run.end - offset};
        ASSIGN_OR_RETURN(const uint64_t sent_until,
                         ReadFrom(*run.place, range, request.deadline, sink));
        if (sent_until > offset) {
          offset = sent_until;
          continue;
        }
      }
      RangeRequest rest = request;
      rest.range = {offset, run.end - offset};
      ASSIGN_OR_RETURN(const ServedBy by, ReadNext(rest, sink));
      furthest = std::max(furthest, by);
      offset = run.end;
    }
    return furthest;
  }

  std::optional<ServedBy> ReadNow(uint64_t offset, std::span<std::byte> out) override {
    for (const Place& place : places_)
      if (CacheVolume::ReadNow(*place.use, offset, out)) return tier_.options_.kind;
    return next_->ReadNow(offset, out);
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
    const Place* const place = PlaceToComplete();
    if (place == nullptr) return false;
    for (uint64_t offset = range.offset; offset < range.end();) {
      const Run run = PresentRun(offset, range.end(), std::span(place, 1));
      if (run.place == nullptr) return false;
      offset = run.end;
    }
    return true;
  }

  Result<> Bring(ByteRange range, ByteSink& watcher, Deadline deadline) override {
    for (const Place& place : places_) place.volume->Load(place.use, deadline);
    const Place* const place = PlaceToComplete();
    if (place == nullptr)
      return Fail(Errc::kBusy, "no directory of the cache can be written to at the moment");
    for (uint64_t offset = range.offset; offset < range.end();) {
      const Run run = NextRun(offset, range.end(), std::span(place, 1));
      if (run.place == nullptr) {
        const ByteRange missing{offset, run.end - offset};
        RETURN_IF_ERROR(BringMissing(*place, missing, watcher, deadline));
      }
      offset = run.end;
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
  struct Place {
    CacheVolume* volume;
    CacheVolume::Use use;
  };
  struct Run {
    const Place* place;  // null: it is to be fetched
    uint64_t end;
  };

  // Where the bytes from `offset` are, and how far that holds.
  [[nodiscard]] static Run PresentRun(uint64_t offset, uint64_t end,
                                      std::span<const Place> places) {
    uint64_t missing_until = end;
    for (const Place& place : places) {
      const CachedObject& object = *place.use;
      const auto pending = object.PendingFrom(offset);
      if (pending.pending) return {&place, std::min(end, pending.end)};
      missing_until = std::min(missing_until, pending.end);
      if (object.state() != CachedObject::State::kHere) continue;
      const uint64_t page = offset / object.page_bytes;
      const uint64_t page_end = (end + object.page_bytes - 1) / object.page_bytes;
      const uint64_t without = object.present.NextWithout(page, page_end);
      if (without > page) return {&place, std::min(end, without * object.page_bytes)};
      const uint64_t with = object.present.NextWith(page + 1, page_end);
      missing_until = std::min(missing_until, with * object.page_bytes);
    }
    return {nullptr, std::min(end, missing_until)};
  }

  // One that is to be fetched goes on over a few pages that are here.
  [[nodiscard]] static Run NextRun(uint64_t offset, uint64_t end, std::span<const Place> places) {
    Run run = PresentRun(offset, end, places);
    while (run.place == nullptr && run.end < end) {
      const Run island = PresentRun(run.end, end, places);
      if (island.end == end || island.end - run.end > kBridgedBytesMax) break;
      run.end = PresentRun(island.end, end, places).end;
    }
    return run;
  }

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

  Result<ServedBy> ReadNext(const RangeRequest& request, ByteSink& sink) {
    const Place* const place = keep_ ? PlaceToKeep() : nullptr;
    if (place == nullptr) return next_->Read(request, sink);
    FillSink fill(request.range, size_bytes_, tier_.options_.page_bytes, place->volume->pool(),
                  sink,
                  [place](CacheChunk chunk) { place->volume->Fill(place->use, std::move(chunk)); });
    Result<ServedBy> read = next_->Read(request, fill);
    fill.Finish();
    return read;
  }

  Result<> BringMissing(const Place& place, ByteRange range, ByteSink& watcher, Deadline deadline) {
    FillSink fill(range, size_bytes_, tier_.options_.page_bytes, place.volume->pool(), watcher,
                  [&](CacheChunk chunk) {
                    (void)place.volume->FillPatiently(place.use, std::move(chunk), deadline);
                  });
    const Result<ServedBy> read =
        next_->Read({.range = range, .purpose = Purpose::kWarmup, .deadline = deadline}, fill);
    fill.Finish();
    if (!read) return tl::unexpected(read.error());
    return {};
  }

  // The volume that has some of it already, or else the first that works.
  [[nodiscard]] const Place* PlaceToKeep() const {
    for (const Place& place : places_)
      if (place.use->state() == CachedObject::State::kHere) return &place;
    for (const Place& place : places_)
      if (place.volume->usable() && place.use->state() == CachedObject::State::kAbsent)
        return &place;
    return nullptr;
  }

  // The one in which all of it is to be: parts in several never make a whole.
  [[nodiscard]] const Place* PlaceToComplete() const {
    for (const Place& place : places_)
      if (IsWholeIn(place)) return &place;
    for (const Place& place : places_)
      if (place.volume->usable() && place.use->state() == CachedObject::State::kHere) return &place;
    for (const Place& place : places_)
      if (place.volume->usable() && place.use->state() == CachedObject::State::kAbsent)
        return &place;
    return nullptr;
  }

  static bool IsWholeIn(const Place& place) {
    return place.use->state() == CachedObject::State::kHere && place.use->complete() &&
           place.volume->usable();
  }

  // `whole` is the next tier's. One that is opened again is copied from there.
  std::shared_ptr<const WholeFile> OrPromote(std::shared_ptr<const WholeFile> whole) {
    const Place* const place = whole != nullptr && keep_ ? PlaceToKeep() : nullptr;
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
    FillSink fill({0, size_bytes_}, size_bytes_, tier_.options_.page_bytes, place.volume->pool(),
                  nobody,
                  [&](CacheChunk chunk) { place.volume->Fill(place.use, std::move(chunk)); });
    std::vector<std::byte> buffer(std::min(kReadBytesMax, size_bytes_));
    for (uint64_t offset = 0; offset < size_bytes_;) {
      const ssize_t count =
          pread(whole.fd(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;  // the next tier will find out by itself
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
  std::vector<Place> places_;  // in the order in which they are preferred; constant
  std::atomic<bool> promoting_{false};
};

Tier::Tier(const TierOptions& options, std::vector<std::unique_ptr<CacheVolume>> volumes,
           RangeSource& next)
    : options_(options),
      volumes_(std::move(volumes)),
      next_(next),
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
