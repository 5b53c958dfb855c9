#include "read/segment_engine.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <span>

namespace shoal {
namespace {

// Less would not hold one large read and what is in the way of it.
constexpr uint64_t kBudgetBytesMin = 8 * kMiB;
// The kernel bounds its requests far below this; it bounds other callers.
constexpr size_t kLineLengthMax = 65536;
constexpr uint64_t kFetchBytesMax = 8 * kMiB;
constexpr uint32_t kPageBytesMin = 4 * kKiB;

uint64_t BudgetBytes(uint64_t memory_mib) {
  return std::max(memory_mib * kMiB, kBudgetBytesMin);
}
// Half: what it needs and the segments at its two edges must fit together.
uint64_t ReadBytesMax(uint64_t budget_bytes) {
  return budget_bytes / 2;
}
Error TooLarge() {
  return {Errc::kInvalid, "one read of more than half of read_memory_mb"};
}

using enum FetchExecutor::Urgency;

}  // namespace

// A handle on an OpenObject. The last one to go closes it.
class SegmentEngine::Reader final : public ObjectReader {
 public:
  Reader(SegmentEngine& engine, const ObjectVersion& version)
      : engine_(engine),
        object_(std::make_shared<OpenObject>(version, engine.source_.Open(version))) {}
  ~Reader() override { engine_.Close(object_); }

  void Read(ByteRange range, ReadDone done) override {
    engine_.Read(object_, range, std::move(done));
  }
  std::optional<size_t> ReadNow(uint64_t offset, std::span<std::byte> out) override {
    const uint64_t object_bytes = object_->version.size_bytes;
    if (offset >= object_bytes || out.empty()) return 0;
    out = out.first(std::min(out.size(), object_bytes - offset));
    if (object_->foreseen.load(std::memory_order_relaxed) || object_->places.Near(offset) ||
        !object_->bytes->ReadNow(offset, out))
      return std::nullopt;
    return out.size();
  }
  std::shared_ptr<const WholeFile> Whole(Deadline deadline) override {
    return object_->bytes->Whole(deadline);
  }
  std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown() override {
    return object_->bytes->WholeIfKnown();
  }
  [[nodiscard]] const ObjectVersion& version() const { return object_->version; }
  [[nodiscard]] const std::shared_ptr<OpenObject>& object() const { return object_; }

 private:
  SegmentEngine& engine_;
  const std::shared_ptr<OpenObject> object_;
};

SegmentEngine::SegmentEngine(const ReadOptions& options, RangeSource& source, const Clock& clock)
    : page_bytes_(std::max(options.page_bytes / kPageBytesMin, 1U) * kPageBytesMin),
      segment_bytes_(SegmentBytes(options)),
      fetch_deadline_(std::chrono::seconds(options.deadline_seconds)),
      source_(source),
      clock_(clock),
      store_(BudgetBytes(options.memory_mib), segment_bytes_),
      executor_(options.fetch_count_max) {}

std::shared_ptr<ObjectReader> SegmentEngine::Open(const ObjectVersion& version) {
  return OpenReader(version);
}

std::shared_ptr<SegmentEngine::Reader> SegmentEngine::OpenReader(const ObjectVersion& version) {
  std::shared_ptr<Reader> known;  // outlives the lock: the last one's destructor takes it
  const MutexLock lock(mutex_);
  std::weak_ptr<Reader>& slot = readers_[{version.key, version.etag}];
  known = slot.lock();
  if (known != nullptr && known->version().size_bytes == version.size_bytes) return known;
  auto fresh = std::make_shared<Reader>(*this, version);
  slot = fresh;
  return fresh;
}

SegmentEngine::MemoryUse SegmentEngine::memory_use() {
  const MutexLock lock(mutex_);
  const BufferPool& pool = store_.pool();
  return {pool.used_bytes(), pool.peak_bytes(), pool.kept_bytes()};
}

std::shared_ptr<ObjectReader> SegmentEngine::Foresee(const ObjectVersion& version) {
  std::shared_ptr<Reader> reader = OpenReader(version);  // outlives the lock, as above
  const MutexLock lock(mutex_);
  return FetchWhole(reader->object()) ? reader : nullptr;
}

// False: there is no memory for it.
bool SegmentEngine::FetchWhole(const std::shared_ptr<OpenObject>& object) {
  if (!line_.empty() || std::exchange(foreseen_->setback, false)) return false;
  const uint64_t foreseen_bytes_max = store_.pool().budget_bytes() / 4;
  const uint64_t object_bytes = object->version.size_bytes;
  for (const ByteRange& gap : object->segments.Gaps({0, object_bytes}, page_bytes_, object_bytes)) {
    const uint64_t needed_bytes = BufferPool::ChargeOf(gap.length);
    if (foreseen_->bytes + needed_bytes > foreseen_bytes_max ||
        !store_.MakeRoomForPrefetch(*foreseen_, needed_bytes))
      return false;
    StartFetch(object, gap, gap, foreseen_, kForeseen, nullptr);
  }
  object->foreseen = true;
  return true;
}

// --- A read: from its range to segments that are there or on their way

void SegmentEngine::Read(const std::shared_ptr<OpenObject>& object, ByteRange range,
                         ReadDone done) {
  const uint64_t object_bytes = object->version.size_bytes;
  if (range.offset >= object_bytes || range.length == 0) {
    done(std::span<const std::span<const std::byte>>{});
    return;
  }
  range.length = std::min(range.length, object_bytes - range.offset);

  auto read = std::make_shared<PendingRead>();
  read->object = object;
  read->range = range;
  read->done = std::move(done);
  read->deadline = Deadline::After(clock_, fetch_deadline_);
  Answers answers;
  {
    const MutexLock lock(mutex_);
    if (range.length > ReadBytesMax(store_.pool().budget_bytes())) {
      read->error = TooLarge();
    } else if (line_.size() >= kLineLengthMax) {
      read->error = Error{Errc::kBusy, "too many reads wait for memory"};
    } else if (const Error* const failure = FindFailure(*object, range)) {
      read->error = *failure;
    }
    if (read->error) {
      read->settled = true;
      answers.push_back(read);
    } else {
      Observe(*read);
      if (Start(read, false, answers)) {
        if (read->stream != nullptr) ReadAhead(*read);
      } else {
        read->waited = true;
        line_.push_back(read);
      }
    }
  }
  Deliver(std::move(answers));
}

const Error* SegmentEngine::FindFailure(OpenObject& object, ByteRange range) {
  const Error* const failure = object.failures.Find(
      [range](ByteRange failed) { return Overlap(failed, range).length > 0; }, clock_.Now());
  if (failure == nullptr) return nullptr;
  // What is there, or on its way for somebody else, is not asked for again; nor is what a cache
  // has: the read that failed may have begun before it.
  const auto gaps = object.segments.Gaps(range, page_bytes_, object.version.size_bytes);
  const bool asks =
      std::ranges::any_of(gaps, [&object](ByteRange gap) { return !object.bytes->IsNear(gap); });
  return asks ? failure : nullptr;
}

void SegmentEngine::Observe(PendingRead& read) {
  OpenObject& object = *read.object;
  const StreamDetector::Finding finding = object.detector.OnRead(read.range);
  const auto ended = object.streams.find(finding.ended);
  if (ended != object.streams.end()) {
    for (const SegmentPointer& segment : object.segments.All())
      if (segment->stream == ended->second && segment->idle) store_.Forget(segment);
    object.streams.erase(ended);
    object.places.Remove(finding.ended);
  }
  if (finding.stream == kNoStream) return;
  std::shared_ptr<FollowedStream>& followed = object.streams[finding.stream];
  if (followed == nullptr)
    followed = std::make_shared<FollowedStream>(finding.frontier, segment_bytes_);
  read.stream = followed;
  followed->stream.ReadUpTo(finding.frontier);
  object.places.Set(finding.stream, finding.frontier);
  const ByteRange behind = followed->stream.TakeLeftBehind();
  if (behind.length == 0) return;
  for (const SegmentPointer& segment : object.segments.Covering(behind))
    if (segment->stream == followed && segment->idle) store_.Forget(segment);
}

// False, having changed nothing, when there is no memory for it yet.
bool SegmentEngine::Start(const ReadPointer& read, bool first_in_line, Answers& answers) {
  OpenObject& object = *read->object;
  const uint64_t object_bytes = object.version.size_bytes;
  // Held first, or making room for the rest might evict them.
  std::vector<SegmentPointer> present = object.segments.Covering(read->range);
  for (const SegmentPointer& segment : present) store_.Hold(segment);
  const std::vector<ByteRange> gaps = object.segments.Gaps(read->range, page_bytes_, object_bytes);
  uint64_t needed_bytes = 0;
  for (const ByteRange& gap : gaps) needed_bytes += BufferPool::ChargeOf(gap.length);
  const bool admitted =
      gaps.empty() || ((first_in_line || line_.empty()) && store_.MakeRoomForDemand(needed_bytes));
  if (admitted && !gaps.empty()) {
    FetchGaps(read, gaps);
    read->segments = object.segments.Covering(read->range);
    for (const SegmentPointer& segment : read->segments) store_.Hold(segment);
    for (const SegmentPointer& segment : present) store_.LetGo(segment);
  } else if (admitted) {
    read->segments = std::move(present);
  } else {
    for (const SegmentPointer& segment : present) store_.LetGo(segment);
  }
  if (admitted) Await(read, answers);
  return admitted;
}

uint64_t SegmentEngine::SegmentEnd(uint64_t offset, uint64_t limit) const {
  return std::min(offset / segment_bytes_ * segment_bytes_ + segment_bytes_, limit);
}

void SegmentEngine::FetchGaps(const ReadPointer& read, const std::vector<ByteRange>& gaps) {
  OpenObject& object = *read->object;
  const uint64_t object_bytes = object.version.size_bytes;
  for (ByteRange gap : gaps) {
    ByteRange asked = Overlap(gap, read->range);
    // A stream wants the rest of the segment next: the same GET brings it, if there is room.
    // Read from its start, a small file is thus fetched whole at once.
    const uint64_t segment_end = SegmentEnd(gap.end() - 1, object_bytes);
    if (read->stream != nullptr && gap == gaps.back() && gap.end() < segment_end) {
      const ByteRange rest{gap.end(), segment_end - gap.end()};
      const auto more = object.segments.Gaps(rest, page_bytes_, object_bytes);
      if (!more.empty() && more.front().offset == gap.end()) {
        const ByteRange longer{gap.offset, more.front().end() - gap.offset};
        if (store_.MakeRoomForPrefetch(*read->stream, BufferPool::ChargeOf(longer.length)))
          asked.length = (gap = longer).end() - asked.offset;
      }
    }
    StartFetch(read->object, gap, asked, read->stream, kDemanded, read);
    if (read->stream != nullptr) read->stream->stream.AskedUpTo(gap.end());
  }
}

void SegmentEngine::Await(const ReadPointer& read, Answers& answers) {
  for (const SegmentPointer& segment : read->segments) {
    const uint64_t needed_bytes =
        std::min(read->range.end(), segment->range.end()) - segment->range.offset;
    if (segment->filled_bytes >= needed_bytes) continue;
    segment->is_waited_for = true;
    if (segment->filled_bytes >= needed_bytes) continue;  // they came before the fetch saw that
    segment->waiters.push_back({read, needed_bytes});
    ++read->missing_count;
    executor_.Promote(segment->fetch_id);
  }
  if (read->missing_count == 0) {
    read->settled = true;
    answers.push_back(read);
  } else {
    read->waited = true;
  }
}

void SegmentEngine::ReadAhead(const PendingRead& read) {
  if (!line_.empty()) return;
  OpenObject& object = *read.object;
  FollowedStream& followed = *read.stream;
  Stream& stream = followed.stream;
  if (std::exchange(followed.setback, false)) stream.window().OnSetback();
  const uint64_t object_bytes = object.version.size_bytes;
  // Slices of one file read side by side: where another one began was read already.
  uint64_t limit = object_bytes;
  for (const auto& [id, other] : object.streams)
    if (other->stream.began() > stream.frontier()) limit = std::min(limit, other->stream.began());
  while (true) {
    const ByteRange next = stream.NextFetch(limit, store_.ShareOf(followed));
    if (next.length == 0) return;
    for (const ByteRange& gap : object.segments.Gaps(next, page_bytes_, object_bytes)) {
      if (!store_.MakeRoomForPrefetch(followed, BufferPool::ChargeOf(gap.length))) return;
      StartFetch(read.object, gap, gap, read.stream, kForeseen, nullptr);
    }
    stream.AskedUpTo(next.end());
  }
}

void SegmentEngine::StartFetch(const std::shared_ptr<OpenObject>& object, ByteRange range,
                               ByteRange asked, const std::shared_ptr<FollowedStream>& stream,
                               FetchExecutor::Urgency urgency, const ReadPointer& read) {
  for (uint64_t offset = range.offset; offset < range.end();) {
    auto fetch = std::make_shared<Fetch>();
    fetch->id = ++last_fetch_id_;
    fetch->object = object;
    fetch->stream = stream;
    fetch->read = read;
    if (read != nullptr) fetch->deadline = read->deadline;
    fetch->range = {offset, std::min(kFetchBytesMax, range.end() - offset)};
    fetch->rounding_bytes = fetch->range.length - Overlap(fetch->range, asked).length;
    for (; offset < fetch->range.end(); offset = fetch->segments.back()->range.end()) {
      const uint64_t end = SegmentEnd(offset, fetch->range.end());
      fetch->segments.push_back(store_.Make(*object, {offset, end - offset}, stream));
      fetch->segments.back()->fetch_id = fetch->id;
    }
    executor_.Submit(fetch->id, urgency, [this, fetch] { RunFetch(fetch); });
  }
}

// --- The end

template <class Predicate>
void SegmentEngine::FailInLine(Predicate is_meant, const Error& error, Answers& answers) {
  std::erase_if(line_, [&](const ReadPointer& read) {
    if (!is_meant(*read)) return false;
    read->settled = true;
    read->error = error;
    answers.push_back(read);
    return true;
  });
}

void SegmentEngine::SetMemory(uint64_t memory_mib) {
  const uint64_t budget_bytes = BudgetBytes(memory_mib);
  Answers answers;
  {
    const MutexLock lock(mutex_);
    store_.SetBudget(budget_bytes);
    FailInLine(
        [&](const PendingRead& read) { return read.range.length > ReadBytesMax(budget_bytes); },
        TooLarge(), answers);
    AdmitFromLine(answers);
  }
  Deliver(std::move(answers));
}

void SegmentEngine::Close(const std::shared_ptr<OpenObject>& object) {
  const Error closed{Errc::kInterrupted, "closed: " + object->version.key};
  Answers answers;
  {
    const MutexLock lock(mutex_);
    object->closed = true;
    for (const SegmentPointer& segment : object->segments.All()) {
      FailWaiters(*segment, closed, answers);
      store_.Forget(segment);
    }
    FailInLine([&](const PendingRead& read) { return read.object == object; }, closed, answers);
    // Somebody may have opened it anew since the last handle went.
    const auto slot = readers_.find({object->version.key, object->version.etag});
    if (slot != readers_.end() && slot->second.expired()) readers_.erase(slot);
    AdmitFromLine(answers);
    TrimIfIdle();
  }
  Deliver(std::move(answers));
}

uint64_t SegmentBytes(const ReadOptions& options) {
  return std::bit_floor(std::min(options.segment_bytes, BudgetBytes(options.memory_mib) / 8));
}

std::unique_ptr<ReadEngine> MakeReadEngine(const ReadOptions& options, RangeSource& source,
                                           const Clock& clock) {
  return std::make_unique<SegmentEngine>(options, source, clock);
}

}  // namespace shoal
