#include "fs/shared_hand_over.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "base/bytes.h"
#include "base/log.h"

namespace shoal {
namespace {

constexpr uint64_t kMagic = 0x3152564F4C414F48;  // "HOALOVR1"
constexpr uint32_t kVersion = 1;
constexpr uint64_t kHeaderBytes = 4096;
constexpr uint64_t kAreaBytesMin = 4096;
// One in so many bytes of an area.
constexpr uint64_t kWorthMoving = 8;
// Moving costs little below this, and an area's memory is as little.
constexpr uint64_t kMoveAtBytesMin = kMiB;
// Longer than any key.
constexpr size_t kTextBytesMax = 64 * kKiB;

constexpr uint32_t kLive = 1;
constexpr uint32_t kDropped = 2;

constexpr auto kKindMax = static_cast<uint32_t>(HandOverRecord::Kind::kFile);

constexpr uint64_t kNoOffset = ~uint64_t{0};

uint64_t Aligned(uint64_t bytes) {
  return (bytes + 7) & ~uint64_t{7};
}

}  // namespace

struct SharedHandOver::Header {
  uint64_t magic;
  uint32_t version;
  std::atomic<uint32_t> active;
  std::atomic<uint64_t> generation;
  std::atomic<uint64_t> ends[2];
};

// Followed by text, then more_text. What changes later is in no checksum.
struct SharedHandOver::Record {
  std::atomic<uint32_t> state;
  uint32_t length;  // of all of it, a multiple of 8
  std::atomic<uint64_t> count;
  uint64_t checksum;  // of what follows
  uint64_t number;
  uint64_t values[HandOverRecord::kValueCount];
  uint32_t kind;
  uint32_t text_bytes;
  uint32_t more_text_bytes;
  uint32_t unused;

  static constexpr size_t kCheckedFrom = 24;
  [[nodiscard]] const char* text() const { return reinterpret_cast<const char*>(this + 1); }
  [[nodiscard]] char* text() { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] uint64_t Checksum() const {
    const size_t bytes = sizeof(*this) - kCheckedFrom + text_bytes + more_text_bytes;
    return XXH3_64bits(reinterpret_cast<const char*>(this) + kCheckedFrom, bytes);
  }
  [[nodiscard]] HandOverRecord View() const {
    HandOverRecord out{.kind = HandOverRecord::Kind{kind},
                       .number = number,
                       .count = count.load(std::memory_order_relaxed),
                       .text = {text(), text_bytes},
                       .more_text = {text() + text_bytes, more_text_bytes}};
    std::copy(std::begin(values), std::end(values), out.values);
    return out;
  }
};

Result<std::unique_ptr<SharedHandOver>> SharedHandOver::Attach(std::span<std::byte> memory) {
  if (memory.size() < kHeaderBytes + 2 * kAreaBytesMin)
    return Fail(Errc::kInvalid, "too little memory to hand a mount over");
  return std::unique_ptr<SharedHandOver>(new SharedHandOver(memory));
}

Result<> SharedHandOver::CheckVersion(std::span<const std::byte> memory) {
  const auto& header = *reinterpret_cast<const Header*>(memory.data());
  if (memory.size() < kHeaderBytes || header.magic != kMagic || header.version == kVersion)
    return {};
  return Fail(Errc::kUnsupported,
              fmt::format("what is open is noted in version {}, which this program cannot read: it "
                          "takes a new mount",
                          header.version));
}

SharedHandOver::SharedHandOver(std::span<std::byte> memory)
    : memory_(memory),
      header_(*reinterpret_cast<Header*>(memory.data())),
      area_bytes_((memory.size() - kHeaderBytes) / 2 / 4096 * 4096) {
  static_assert(offsetof(Record, number) == Record::kCheckedFrom);
  static_assert(sizeof(Record) == 88 && sizeof(Header) <= kHeaderBytes);
  static_assert(std::atomic<uint64_t>::is_always_lock_free);
  const MutexLock lock(mutex_);
  if (header_.magic != kMagic || header_.version != kVersion) {
    if (header_.magic != 0)
      log::Warn("what the process before left is of another version, and is not used");
    // Its handles are open still: no number of theirs may name another file.
    const uint64_t generation = header_.magic == kMagic ? header_.generation.load() : 0;
    new (&header_) Header{.magic = kMagic,
                          .version = kVersion,
                          .active = 0,
                          .generation = generation,
                          .ends = {0, 0}};
  }
  generation_ = header_.generation.fetch_add(1) + 1;
  offsets_.push_back(kNoOffset);  // of kNone
  Read();
}

std::byte* SharedHandOver::Area(uint32_t index) const {
  return memory_.data() + kHeaderBytes + index * area_bytes_;
}

bool SharedHandOver::IsSound(const std::byte* at, uint64_t room_bytes) const {
  const auto& record = *reinterpret_cast<const Record*>(at);
  return record.kind >= 1 && record.kind <= kKindMax && record.text_bytes <= kTextBytesMax &&
         record.more_text_bytes <= kTextBytesMax &&
         sizeof(Record) + record.text_bytes + record.more_text_bytes <= room_bytes &&
         record.checksum == record.Checksum();
}

void SharedHandOver::Read() {
  active_ = header_.active.load() & 1;
  end_ = std::min(header_.ends[active_].load(), area_bytes_) & ~uint64_t{7};
  bool whole = end_ == header_.ends[active_].load();
  uint64_t unsound_count = 0;
  uint64_t offset = 0;
  while (offset < end_) {
    std::byte* const at = Area(active_) + offset;
    const auto& record = *reinterpret_cast<const Record*>(at);
    if (end_ - offset < sizeof(Record) || record.length < sizeof(Record) ||
        record.length % 8 != 0 || record.length > end_ - offset) {
      whole = false;
      break;
    }
    if (record.state.load(std::memory_order_relaxed) == kLive) {
      if (IsSound(at, record.length)) {
        NewToken(offset);
        live_bytes_ += record.length;
      } else {
        ++unsound_count;
      }
    }
    offset += record.length;
  }
  end_ = offset;
  if (!whole || unsound_count > 0)
    log::Warn("what the process before left is damaged: {} records are not used{}", unsound_count,
              whole ? "" : ", nor what was behind them");
  // At least once a process, so that nothing is left in the other area and behind the end.
  MoveToOtherArea();
}

HandOver::Token SharedHandOver::NewToken(uint64_t offset) {
  if (free_tokens_.empty()) {
    offsets_.push_back(offset);
    return static_cast<Token>(offsets_.size() - 1);
  }
  const Token token = free_tokens_.back();
  free_tokens_.pop_back();
  offsets_[token] = offset;
  return token;
}

SharedHandOver::Record& SharedHandOver::At(Token token) {
  return *reinterpret_cast<Record*>(Area(active_) + offsets_[token]);
}

HandOver::Token SharedHandOver::Keep(const HandOverRecord& record) {
  if (record.text.size() > kTextBytesMax || record.more_text.size() > kTextBytesMax) return kNone;
  const uint64_t length = Aligned(sizeof(Record) + record.text.size() + record.more_text.size());
  const MutexLock lock(mutex_);
  // Near the end of the area only for what is worth copying all of it.
  const bool is_worth_it = end_ <= kMoveAtBytesMin || move_at_bytes_ < area_bytes_ ||
                           end_ - live_bytes_ >= area_bytes_ / kWorthMoving;
  if (end_ + length > move_at_bytes_ && live_bytes_ + length <= area_bytes_ && is_worth_it)
    MoveToOtherArea();
  if (end_ + length > area_bytes_) {
    if (!said_full_)
      log::Warn(
          "there is no room to note all that is open: should this process end, some of it "
          "will be stale");
    said_full_ = true;
    return kNone;
  }
  auto& out = *reinterpret_cast<Record*>(Area(active_) + end_);
  out.state.store(kLive, std::memory_order_relaxed);
  out.length = static_cast<uint32_t>(length);
  out.count.store(record.count, std::memory_order_relaxed);
  out.number = record.number;
  std::copy(std::begin(record.values), std::end(record.values), out.values);
  out.kind = static_cast<uint32_t>(record.kind);
  out.text_bytes = static_cast<uint32_t>(record.text.size());
  out.more_text_bytes = static_cast<uint32_t>(record.more_text.size());
  out.unused = 0;
  std::copy(record.text.begin(), record.text.end(), out.text());
  std::copy(record.more_text.begin(), record.more_text.end(), out.text() + record.text.size());
  out.checksum = out.Checksum();
  const Token token = NewToken(end_);
  end_ += length;
  live_bytes_ += length;
  header_.ends[active_].store(end_, std::memory_order_release);  // from here on it counts
  return token;
}

void SharedHandOver::SetCount(Token token, uint64_t count) {
  if (token == kNone) return;
  const MutexLock lock(mutex_);
  At(token).count.store(count, std::memory_order_relaxed);
}

void SharedHandOver::Drop(Token token) {
  if (token == kNone) return;
  const MutexLock lock(mutex_);
  Record& record = At(token);
  record.state.store(kDropped, std::memory_order_release);
  live_bytes_ -= record.length;
  offsets_[token] = kNoOffset;
  free_tokens_.push_back(token);
}

void SharedHandOver::MoveToOtherArea() {
  const uint32_t other = 1 - active_;
  uint64_t end = 0;
  for (uint64_t& offset : offsets_) {
    if (offset == kNoOffset) continue;
    const std::byte* const from = Area(active_) + offset;
    const uint32_t length = reinterpret_cast<const Record*>(from)->length;
    std::memcpy(Area(other) + end, from, length);
    offset = end;
    end += length;
  }
  header_.ends[other].store(end, std::memory_order_release);
  header_.active.store(other, std::memory_order_release);  // from here on it counts
  const uint64_t left_bytes = (end_ + 4095) / 4096 * 4096;
  // Best effort: where pages cannot be given back they are written over the next time.
  if (left_bytes > kMoveAtBytesMin)
    madvise(Area(active_), std::min(left_bytes, area_bytes_), MADV_REMOVE);
  active_ = other;
  end_ = end;
  move_at_bytes_ = std::min(area_bytes_, std::max(kMoveAtBytesMin, 2 * end));
}

void SharedHandOver::VisitLeft(HandOverRecord::Kind kind, const Visitor& visit) {
  const MutexLock lock(mutex_);
  for (Token token = 1; token < offsets_.size(); ++token) {
    if (offsets_[token] == kNoOffset) continue;
    const HandOverRecord record = At(token).View();
    if (record.kind == kind) visit(token, record);
  }
}

}  // namespace shoal
