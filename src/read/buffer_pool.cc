#include "read/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>

#include "base/log.h"

namespace shoal {
namespace {

constexpr uint64_t kSystemPageBytes = 4096;
// Kept when nothing is open, so that reading one small file after another does not map
// and fault in memory for each.
constexpr size_t kKeptWhenIdle = 4;

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
  Buffer buffer;
  if (charge_bytes == segment_bytes_ && !kept_.empty()) {
    buffer = std::move(kept_.back());
    kept_.pop_back();
  } else {
    while (!kept_.empty() && used_bytes_ + kept_bytes() + charge_bytes > budget_bytes_)
      kept_.pop_back();
    buffer = Buffer(charge_bytes);
  }
  used_bytes_ += charge_bytes;
  peak_bytes_ = std::max(peak_bytes_, used_bytes_);
  return buffer;
}

void BufferPool::GiveBack(Buffer buffer) {
  used_bytes_ -= buffer.size_bytes();
  if (buffer.size_bytes() == segment_bytes_) kept_.push_back(std::move(buffer));
}

void BufferPool::Trim() {
  if (kept_.size() > kKeptWhenIdle) kept_.resize(kKeptWhenIdle);
}

}  // namespace shoal
