// The engine's second half: what fetches bring, and the answers to reads.
#include <algorithm>
#include <span>

#include "read/segment_engine.h"

namespace shoal {
namespace {

// Whether bytes that one fetch did not bring, another may.
bool MayHelp(Errc code) {
  return code == Errc::kTimedOut || code == Errc::kUnreachable || code == Errc::kBusy;
}

}  // namespace

// --- A fetch, on its thread

void SegmentEngine::RunFetch(const std::shared_ptr<Fetch>& fetch) {
  Purpose purpose = Purpose::kReadahead;
  Deadline deadline = fetch->deadline;
  bool wanted = false;
  {
    const MutexLock lock(mutex_);
    wanted = !fetch->object->closed;
    for (const SegmentPointer& segment : fetch->segments) {
      for (const Segment::Waiter& waiter : segment->waiters) {
        if (waiter.read->settled) continue;
        purpose = Purpose::kRead;
        // It may have stood in line while they waited, and has no more time than they.
        if (fetch->read == nullptr) deadline.at = std::min(deadline.at, waiter.read->deadline.at);
      }
    }
  }
  Result<ServedBy> result = Fail(Errc::kInterrupted, "closed");
  FetchSink sink(*fetch, *this);
  if (wanted) {
    const RangeRequest request{.range = fetch->range,
                               .purpose = purpose,
                               .deadline = deadline.at == Instant::max()
                                               ? Deadline::After(clock_, fetch_deadline_)
                                               : deadline,
                               .rounding_bytes = fetch->rounding_bytes};
    fetch->began_at = clock_.Now();
    result = fetch->object->bytes->Read(request, sink);
  }
  std::optional<Error> error;
  if (!result) {
    error = result.error();
    // An object that was open and is no more is another version of what was opened.
    if (error->code == Errc::kNotFound) error->code = Errc::kChanged;
  } else if (sink.segment_index() < fetch->segments.size()) {
    error = Error{Errc::kUnreachable, "fewer bytes than asked for: " + fetch->object->version.key};
  }
  EndFetch(*fetch, sink.segment_index(), error);
}

bool SegmentEngine::OnFilled(Fetch& fetch, size_t segment_index, uint64_t filled_bytes) {
  const SegmentPointer& segment = fetch.segments[segment_index];
  if (fetch.first_byte_at < fetch.began_at) fetch.first_byte_at = clock_.Now();
  segment->filled_bytes = filled_bytes;
  if (filled_bytes < segment->range.length && !segment->is_waited_for) return !fetch.object->closed;
  Answers answers;
  {
    const MutexLock lock(mutex_);
    std::erase_if(segment->waiters, [&](const Segment::Waiter& waiter) {
      if (waiter.filled_needed_bytes > filled_bytes) return false;
      if (--waiter.read->missing_count == 0 && !waiter.read->settled) {
        waiter.read->settled = true;
        answers.push_back(waiter.read);
      }
      return true;
    });
    segment->is_waited_for = !segment->waiters.empty();
    if (segment->complete()) {
      if (fetch.stream != nullptr)
        fetch.stream->stream.window().OnArrived(segment->range.length, clock_.Now());
      store_.LetGo(segment);
    }
  }
  Deliver(std::move(answers));
  return !fetch.object->closed;
}

void SegmentEngine::EndFetch(const Fetch& fetch, size_t filled_count,
                             const std::optional<Error>& error) {
  Answers answers;
  {
    const MutexLock lock(mutex_);
    if (!error && fetch.stream != nullptr) {
      fetch.stream->stream.window().OnFetched(fetch.range.length,
                                              fetch.first_byte_at - fetch.began_at,
                                              clock_.Now() - fetch.first_byte_at);
    }
    if (error) FailFetch(fetch, filled_count, *error, answers);
    for (size_t i = filled_count; i < fetch.segments.size(); ++i) {
      const SegmentPointer& segment = fetch.segments[i];
      if (error && segment->stream != nullptr &&
          (error->code == Errc::kBusy || error->code == Errc::kTimedOut))
        segment->stream->setback = true;
      store_.Forget(segment);
      store_.LetGo(segment);
    }
    AdmitFromLine(answers);
    TrimIfIdle();
  }
  Deliver(std::move(answers));
}

// It ends: a read that starts over is failed by the fetch that is then made for it, and as long
// as it waits for those of others, each of them that fails has failed a read of its own.
void SegmentEngine::FailFetch(const Fetch& fetch, size_t filled_count, const Error& error,
                              Answers& answers) {
  const bool may_help = MayHelp(error.code);
  // Where some bytes came, the store is not gone, and fewer may come in time.
  const bool nothing_came = filled_count == 0 && fetch.segments.front()->filled_bytes == 0;
  Answers others;
  for (size_t i = filled_count; i < fetch.segments.size(); ++i) {
    for (const auto& [read, needed_bytes] : std::exchange(fetch.segments[i]->waiters, {})) {
      // A read can wait for several of the segments.
      if (read->settled || read->missing_count == 0) continue;
      if (may_help && read != fetch.read && !read->deadline.Passed(clock_)) {
        StartOver(read);
        others.push_back(read);
      } else {
        read->settled = true;
        read->error = error;
        answers.push_back(read);
        if (nothing_came)
          read->object->failures.Add(Overlap(read->range, fetch.range), error, clock_.Now());
      }
    }
  }
  line_.insert(line_.begin(), others.begin(), others.end());
}

void SegmentEngine::StartOver(const ReadPointer& read) {
  for (const SegmentPointer& segment : read->segments) {
    std::erase_if(segment->waiters,
                  [&](const Segment::Waiter& waiter) { return waiter.read == read; });
    store_.LetGo(segment);
  }
  read->segments.clear();
  read->missing_count = 0;
}

// --- Answers

void SegmentEngine::FailWaiters(Segment& segment, const Error& error, Answers& answers) {
  for (const Segment::Waiter& waiter : segment.waiters) {
    if (std::exchange(waiter.read->settled, true)) continue;
    waiter.read->error = error;
    answers.push_back(waiter.read);
  }
  segment.waiters.clear();
}

void SegmentEngine::Deliver(Answers answers) {
  while (!answers.empty()) {
    for (const ReadPointer& read : answers) Answer(*read);
    Answers next;
    {
      const MutexLock lock(mutex_);
      for (const ReadPointer& read : answers) Release(*read);
      AdmitFromLine(next);
      TrimIfIdle();
    }
    answers = std::move(next);
  }
}

void SegmentEngine::Answer(PendingRead& read) {
  const ReadDone done = std::move(read.done);
  if (read.error) {
    done(tl::unexpected(*read.error));
    return;
  }
  std::vector<std::span<const std::byte>> pieces;
  pieces.reserve(read.segments.size());
  for (const SegmentPointer& segment : read.segments) {
    const uint64_t begin = std::max(read.range.offset, segment->range.offset);
    const uint64_t end = std::min(read.range.end(), segment->range.end());
    pieces.emplace_back(segment->buffer.data() + (begin - segment->range.offset), end - begin);
  }
  done(std::span<const std::span<const std::byte>>(pieces));
}

void SegmentEngine::Release(PendingRead& read) {
  for (const SegmentPointer& segment : read.segments) {
    if (!read.error) segment->MarkServed(read.range.offset, read.range.end());
    store_.LetGo(segment);
  }
  read.segments.clear();
  if (!read.error && read.stream != nullptr)
    read.stream->stream.window().OnServed(read.range.length, read.waited);
}

// First come, first served: one that must wait keeps all behind it waiting, or a large
// read would never find room among small ones.
void SegmentEngine::AdmitFromLine(Answers& answers) {
  while (!line_.empty() && Start(line_.front(), true, answers)) line_.pop_front();
}

void SegmentEngine::TrimIfIdle() {
  if (readers_.empty() && store_.pool().used_bytes() == 0) store_.Trim();
}

}  // namespace shoal
