// For tests: a receiver that has room for the body.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http_message.h"

namespace shoal {

// Keeps the body in memory of its own, of which it offers so much at a time.
class OfferingReceiver final : public HttpReceiver, public ByteSink {
 public:
  explicit OfferingReceiver(size_t room_bytes) : room_bytes_(room_bytes) {}

  ByteSink* Begin(HttpHead answer) override {
    ++begin_count;
    head = std::move(answer);
    return this;
  }
  bool Append(std::span<const std::byte> bytes) override {
    EXPECT_LE(size_ + bytes.size(), memory_.size());
    if (bytes.data() == memory_.data() + size_)
      in_place_bytes += bytes.size();
    else
      std::memcpy(memory_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
    if (on_append) on_append();
    return size_ <= size_bytes_max;
  }
  std::span<std::byte> Room() override {
    return std::span(memory_).subspan(size_, std::min(room_bytes_, memory_.size() - size_));
  }

  [[nodiscard]] std::string_view body() const {
    return {reinterpret_cast<const char*>(memory_.data()), size_};
  }
  HttpHead head;
  int begin_count = 0;
  size_t in_place_bytes = 0;
  size_t size_bytes_max = SIZE_MAX;  // it wants no more after that
  std::function<void()> on_append{};

 private:
  const size_t room_bytes_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(16 * kMiB);
  size_t size_ = 0;
};

}  // namespace shoal
