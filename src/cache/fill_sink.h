// Hands bytes on to a reader, and collects them into chunks of whole pages for a volume.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "cache/cached_object.h"
#include "cache/flight_table.h"

namespace shoal {

// Used by one thread. `pool` outlives the chunks.
class FillSink final : public ByteSink {
 public:
  using Keep = std::function<void(CacheChunk)>;

  // The bytes are those of `range` of an object, and the reader gets those of `wanted`, which
  // lies in it. Pages that are only partly in it are not kept. `keep` is called for each chunk, of
  // at most kChunkBytesMax. `flight`, unless null, is told how far it came, and outlives it.
  FillSink(ByteRange range, ByteRange wanted, uint64_t object_bytes, uint32_t page_bytes,
           ChunkPool& pool, ByteSink& reader, FlightTable::Flight* flight, Keep keep);

  // The reader first: keeping does not make it wait.
  bool Append(std::span<const std::byte> bytes) override;
  // The chunk's: a reader may leave without its bytes, the volume may not.
  std::span<std::byte> Room() override;
  // Keeps the whole pages that came since the last chunk, also of a range cut short.
  void Finish();
  // How far what is wanted was handed on.
  [[nodiscard]] uint64_t handed_on_until() const {
    return std::clamp(offset_, wanted_.offset, wanted_.end());
  }

 private:
  void Collect(std::span<const std::byte> bytes);
  // False: the range is over.
  bool HaveChunk();

  const ByteRange range_;
  const ByteRange wanted_;
  const uint64_t object_bytes_;
  const uint32_t page_bytes_;
  ChunkPool& pool_;
  ByteSink& reader_;
  FlightTable::Flight* const flight_;
  const Keep keep_;

  uint64_t offset_;      // of the next byte to come
  uint64_t skip_until_;  // the first whole page begins there
  CacheChunk chunk_;     // size_bytes: what came of it so far
  uint64_t capacity_bytes_ = 0;
};

}  // namespace shoal
