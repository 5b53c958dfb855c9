#include "cache/fill_sink.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace shoal {

FillSink::FillSink(ByteRange range, ByteRange wanted, uint64_t object_bytes, uint32_t page_bytes,
                   ChunkPool& pool, ByteSink& reader, FlightTable::Flight* flight, Keep keep)
    : range_(range),
      wanted_(wanted),
      object_bytes_(object_bytes),
      page_bytes_(page_bytes),
      pool_(pool),
      reader_(reader),
      flight_(flight),
      keep_(std::move(keep)),
      offset_(range.offset),
      skip_until_((range.offset + page_bytes - 1) / page_bytes * page_bytes) {}

bool FillSink::Append(std::span<const std::byte> bytes) {
  const ByteRange wanted = Overlap({offset_, bytes.size()}, wanted_);
  const auto handed_on = wanted.length == 0 ? std::span<const std::byte>()
                                            : bytes.subspan(wanted.offset - offset_, wanted.length);
  const bool go_on = reader_.Append(handed_on);
  Collect(bytes);
  return go_on;
}

void FillSink::Collect(std::span<const std::byte> bytes) {
  if (offset_ < skip_until_) {
    const size_t skipped = std::min<size_t>(bytes.size(), skip_until_ - offset_);
    bytes = bytes.subspan(skipped);
    offset_ += skipped;
  }
  while (!bytes.empty()) {
    if (!HaveChunk()) return;
    const size_t count = std::min<size_t>(bytes.size(), capacity_bytes_ - chunk_.size_bytes);
    std::byte* const place = chunk_.bytes.get() + chunk_.size_bytes;
    if (bytes.data() != place) std::memcpy(place, bytes.data(), count);
    chunk_.size_bytes += count;
    offset_ += count;
    bytes = bytes.subspan(count);
    if (flight_ != nullptr) flight_->Arrived(chunk_.bytes, chunk_.offset, offset_);
    if (chunk_.size_bytes == capacity_bytes_) Finish();
  }
}

std::span<std::byte> FillSink::Room() {
  if (offset_ < skip_until_ || !HaveChunk()) return {};
  return {chunk_.bytes.get() + chunk_.size_bytes, capacity_bytes_ - chunk_.size_bytes};
}

bool FillSink::HaveChunk() {
  if (chunk_.bytes != nullptr) return true;
  // Chunks end where a chunk of the whole object would, so that most are of one size.
  const uint64_t end =
      std::min(offset_ / kChunkBytesMax * kChunkBytesMax + kChunkBytesMax, range_.end());
  if (end <= offset_) return false;
  chunk_.offset = offset_;
  chunk_.size_bytes = 0;
  capacity_bytes_ = end - offset_;
  chunk_.bytes = pool_.Take(capacity_bytes_);
  return true;
}

void FillSink::Finish() {
  CacheChunk chunk = std::exchange(chunk_, {});
  if (chunk.size_bytes == 0) return;  // there is none, or nothing came for it
  const uint64_t until = chunk.offset + chunk.size_bytes;
  if (flight_ != nullptr) flight_->Storing();
  // The object's last page is whole as it is.
  if (until != object_bytes_) chunk.size_bytes -= chunk.size_bytes % page_bytes_;
  if (chunk.size_bytes > 0) keep_(std::move(chunk));
  if (flight_ != nullptr) flight_->Stored(until);
}

}  // namespace shoal
