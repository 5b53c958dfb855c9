// A HandOver in memory that outlives the process: a mapped memfd which its keeper holds.
//
// The memory has a header and two areas of records, one of them active. A record is written
// behind the last one and then counts from one store of the area's end on; it is dropped by
// one store into its own state. So the writer may end between any two instructions. An area
// that is full of dropped records is written anew into the other, which one store makes the
// active one.
//
// What is found is not trusted: a length that does not fit ends the reading, a record whose
// checksum is wrong or whose kind is unknown is left out, a header of another version counts
// as empty memory, but for the generation. docs/hand_over.md has every byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "fs/hand_over.h"

namespace shoal {

class SharedHandOver final : public HandOver {
 public:
  // `memory` is page-aligned, shared, zero when it is new, and outlives this; nobody else
  // writes there. Pages are taken as records need them and given back, so it may be large.
  // kInvalid: too small to hold anything.
  static Result<std::unique_ptr<SharedHandOver>> Attach(std::span<std::byte> memory);
  // kUnsupported: Attach would take it for empty, as it is of another version.
  static Result<> CheckVersion(std::span<const std::byte> memory);

  Token Keep(const HandOverRecord& record) override;
  void SetCount(Token token, uint64_t count) override;
  void Drop(Token token) override;
  void VisitLeft(HandOverRecord::Kind kind, const Visitor& visit) override;
  [[nodiscard]] uint64_t generation() const override { return generation_; }

 private:
  struct Header;
  struct Record;

  explicit SharedHandOver(std::span<std::byte> memory);

  void Read() REQUIRES(mutex_);
  [[nodiscard]] bool IsSound(const std::byte* at, uint64_t room_bytes) const;
  [[nodiscard]] Record& At(Token token) REQUIRES(mutex_);
  Token NewToken(uint64_t offset) REQUIRES(mutex_);
  void MoveToOtherArea() REQUIRES(mutex_);
  [[nodiscard]] std::byte* Area(uint32_t index) const;

  const std::span<std::byte> memory_;
  Header& header_;
  const uint64_t area_bytes_;
  uint64_t generation_ = 0;  // constant after Attach

  Mutex mutex_;
  std::vector<uint64_t> offsets_ GUARDED_BY(mutex_);  // by token, in the active area
  std::vector<Token> free_tokens_ GUARDED_BY(mutex_);
  uint32_t active_ GUARDED_BY(mutex_) = 0;
  uint64_t end_ GUARDED_BY(mutex_) = 0;
  uint64_t live_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t move_at_bytes_ GUARDED_BY(mutex_) = 0;
  bool said_full_ GUARDED_BY(mutex_) = false;
};

}  // namespace shoal
