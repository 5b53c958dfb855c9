#include "read/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>

#include "base/bytes.h"
#include "base/log.h"

namespace shoal {
namespace {

constexpr uint64_t kSystemPageBytes = 4096;
// Kept when nothing is open, so that reading one small file after another does not map
// and fault in memory for each.
constexpr size_t kKeptWhenIdle = 4;
constexpr uint64_t kKeptSmallBytesMax = 4 * kMiB;

}  // namespace

Buffer::Buffer(uint64_t size_bytes) : size_bytes_(BufferPool::ChargeOf(size_bytes)) {
  void* pages =
      mmap(nullptr, size_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    log::Error("out of memory: no {} bytes for a read", size_bytes_);
    std::abort();
  }
  data_ = static_cast<std::byte*>(pages);
}

Buffer::~Buffer() {
  if (data_ != nullptr) munmap(data_, size_bytes_);
}

uint64_t BufferPool::ChargeOf(uint64_t length_bytes) {
  return (length_bytes + kSystemPageBytes - 1) / kSystemPageBytes * kSystemPageBytes;
}

Buffer BufferPool::Take(uint64_t length_bytes) {
  const uint64_t charge_bytes = ChargeOf(length_bytes);
  assert(charge_bytes <= free_bytes());
  Buffer buffer = TakeKept(charge_bytes);
  if (buffer.data() == nullptr) {
    while (used_bytes_ + kept_bytes_ + charge_bytes > budget_bytes_ && DropOne()) {
    }
    buffer = Buffer(charge_bytes);
  }
  used_bytes_ += charge_bytes;
  peak_bytes_ = std::max(peak_bytes_, used_bytes_);
  return buffer;
}

void BufferPool::GiveBack(Buffer buffer) {
  const uint64_t size_bytes = buffer.size_bytes();
  used_bytes_ -= size_bytes;
  if (used_bytes_ + kept_bytes_ + size_bytes > budget_bytes_) return;
  if (size_bytes != segment_bytes_) {
    if (kept_small_bytes_ + size_bytes > kKeptSmallBytesMax) return;
    kept_small_bytes_ += size_bytes;
  }
  kept_bytes_ += size_bytes;
  kept_[size_bytes].push_back(std::move(buffer));
}

void BufferPool::SetBudget(uint64_t budget_bytes) {
  budget_bytes_ = budget_bytes;
  while (used_bytes_ + kept_bytes_ > budget_bytes_ && DropOne()) {
  }
}

void BufferPool::Trim() {
  while (kept_bytes_ > kKeptWhenIdle * segment_bytes_ && DropOne()) {
  }
}

bool BufferPool::DropOne() {
  return !kept_.empty() && TakeKept(kept_.rbegin()->first).data() != nullptr;
}

Buffer BufferPool::TakeKept(uint64_t size_bytes) {
  const auto kept = kept_.find(size_bytes);
  if (kept == kept_.end()) return {};
  Buffer buffer = std::move(kept->second.back());
  kept->second.pop_back();
  if (kept->second.empty()) kept_.erase(kept);
  kept_bytes_ -= size_bytes;
  if (size_bytes != segment_bytes_) kept_small_bytes_ -= size_bytes;
  return buffer;
}

}  // namespace shoal
