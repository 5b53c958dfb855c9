#include "read/stream_detector.h"

#include <algorithm>

namespace shoal {

StreamDetector::Finding StreamDetector::OnRead(ByteRange read) {
  ++tick_;
  // Exact places first: of two streams near each other each must get its own reads.
  for (Stream& stream : streams_)
    if (Continues(stream, read)) return Advance(stream, read);
  for (Stream& stream : streams_) {
    if (!FillsHole(stream, read)) continue;
    stream.used_at = tick_;
    return {.stream = stream.id, .frontier = stream.frontier};
  }
  for (Stream& stream : streams_) {
    // Somebody else reads in step with this stream. Nothing new, and no stream of its own.
    if (stream.last_offset == read.offset && read.end() <= stream.frontier) return {};
  }
  for (Stream& stream : streams_) {
    if (!JumpsAhead(stream, read)) continue;
    stream.holes.push_back({stream.frontier, read.offset - stream.frontier});
    stream.hole_bytes += stream.holes.back().length;
    return Advance(stream, read);
  }
  if (read.offset == 0) return StartStream(read.end(), read);
  if (const auto frontier = JoinCandidate(read)) return StartStream(*frontier, read);
  Remember(read);
  return {};
}

bool StreamDetector::Continues(const Stream& stream, ByteRange read) {
  return read.offset <= stream.frontier && read.end() > stream.frontier;
}

bool StreamDetector::FillsHole(Stream& stream, ByteRange read) {
  bool filled = false;
  std::vector<ByteRange> left;
  for (const ByteRange& hole : stream.holes) {
    const uint64_t begin = std::max(hole.offset, read.offset);
    const uint64_t end = std::min(hole.end(), read.end());
    if (begin >= end) {
      left.push_back(hole);
      continue;
    }
    filled = true;
    stream.hole_bytes -= end - begin;
    if (hole.offset < begin) left.push_back({hole.offset, begin - hole.offset});
    if (end < hole.end()) left.push_back({end, hole.end() - end});
  }
  if (filled) stream.holes = std::move(left);
  return filled;
}

// Requests under way together are of one size, so a few times this one's length is as
// far ahead as it can be. Random 4 KiB reads are thus never near enough.
bool StreamDetector::JumpsAhead(const Stream& stream, ByteRange read) {
  if (read.offset <= stream.frontier || stream.holes.size() >= kHoleCountMax) return false;
  const uint64_t jump_bytes = read.offset - stream.frontier;
  return jump_bytes <= 4 * read.length && stream.hole_bytes + jump_bytes <= kHoleBytesMax;
}

StreamDetector::Finding StreamDetector::Advance(Stream& stream, ByteRange read) {
  stream.frontier = std::max(stream.frontier, read.end());
  stream.last_offset = read.offset;
  stream.used_at = tick_;
  AbsorbCandidates(stream);
  return {.stream = stream.id, .frontier = stream.frontier};
}

void StreamDetector::AbsorbCandidates(Stream& stream) {
  // Each round removes a candidate, so this ends.
  while (true) {
    const auto next = std::find_if(candidates_.begin(), candidates_.end(), [&](const Candidate& c) {
      return c.read.offset == stream.frontier;
    });
    if (next == candidates_.end()) return;
    stream.frontier = next->read.end();
    candidates_.erase(next);
  }
}

StreamDetector::Finding StreamDetector::StartStream(uint64_t frontier, ByteRange read) {
  Finding finding;
  if (streams_.size() == kStreamCountMax) {
    const auto oldest =
        std::min_element(streams_.begin(), streams_.end(),
                         [](const Stream& a, const Stream& b) { return a.used_at < b.used_at; });
    finding.ended = oldest->id;
    streams_.erase(oldest);
  }
  Stream stream{.id = ++last_id_,
                .frontier = frontier,
                .last_offset = read.offset,
                .used_at = tick_,
                .holes = {}};
  AbsorbCandidates(stream);
  finding.stream = stream.id;
  finding.frontier = stream.frontier;
  streams_.push_back(std::move(stream));
  return finding;
}

// The frontier of the stream that an earlier read and this one make, in either order.
std::optional<uint64_t> StreamDetector::JoinCandidate(ByteRange read) {
  for (auto at = candidates_.begin(); at != candidates_.end(); ++at) {
    const ByteRange earlier = at->read;
    if (earlier.end() != read.offset && read.end() != earlier.offset) continue;
    candidates_.erase(at);
    return std::max(earlier.end(), read.end());
  }
  return std::nullopt;
}

void StreamDetector::Remember(ByteRange read) {
  for (Candidate& candidate : candidates_) {
    if (candidate.read != read) continue;
    candidate.used_at = tick_;
    return;
  }
  if (candidates_.size() == kCandidateCountMax) {
    candidates_.erase(std::min_element(
        candidates_.begin(), candidates_.end(),
        [](const Candidate& a, const Candidate& b) { return a.used_at < b.used_at; }));
  }
  candidates_.push_back({read, tick_});
}

}  // namespace shoal
