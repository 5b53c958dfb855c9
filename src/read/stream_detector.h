// Tells the sequential streams in one object's reads apart, and from random reads.
//
// A stream is a reader that wants the bytes after those it has. One starts with a read
// at offset 0, or with a read that touches an earlier one end to start. Several may run in
// one object at once: processes that share a file, or one that reads slices of it.
//
// The kernel sends a sequential reader's requests several at a time and they arrive in
// any order, so a stream may be joined a little ahead of where it is. What was jumped
// over is remembered as a hole and must come later: a reader that leaves out more than
// kHoleBytesMax is not sequential, and its stream gets no more of its reads.
//
// Knows no clock and does no I/O. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace shoal {

using StreamId = uint64_t;  // of one object; never used again
inline constexpr StreamId kNoStream = 0;

class StreamDetector {
 public:
  static constexpr size_t kStreamCountMax = 16;
  static constexpr size_t kCandidateCountMax = 32;
  static constexpr uint64_t kHoleBytesMax = 4 * kMiB;  // what the kernel reads ahead, at most
  static constexpr size_t kHoleCountMax = 16;

  struct Finding {
    StreamId stream = kNoStream;  // that the read belongs to; kNoStream: a random read
    uint64_t frontier = 0;        // the stream's furthest byte read, exclusive
    StreamId ended = kNoStream;   // the stream least recently read, given up for this one
  };

  // `read` is not empty.
  Finding OnRead(ByteRange read);

 private:
  struct Stream {
    StreamId id = kNoStream;
    uint64_t frontier = 0;
    uint64_t last_offset = 0;
    uint64_t used_at = 0;
    std::vector<ByteRange> holes;
    uint64_t hole_bytes = 0;
  };
  struct Candidate {
    ByteRange read;
    uint64_t used_at = 0;
  };

  static bool Continues(const Stream& stream, ByteRange read);
  static bool FillsHole(Stream& stream, ByteRange read);
  static bool JumpsAhead(const Stream& stream, ByteRange read);
  // Moves the frontier on over earlier reads that lie there already.
  void AbsorbCandidates(Stream& stream);
  Finding Advance(Stream& stream, ByteRange read);
  Finding StartStream(uint64_t frontier, ByteRange read);
  std::optional<uint64_t> JoinCandidate(ByteRange read);
  void Remember(ByteRange read);

  std::vector<Stream> streams_;
  std::vector<Candidate> candidates_;
  uint64_t tick_ = 0;
  StreamId last_id_ = kNoStream;
};

}  // namespace shoal
