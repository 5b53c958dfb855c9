// A ByteSink that keeps what it is sent. For one thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace shoal {

class CollectingSink final : public ByteSink {
 public:
  bool Append(std::span<const std::byte> bytes) override {
    data.insert(data.end(), bytes.begin(), bytes.end());
    return true;
  }
  std::vector<std::byte> data;
};

}  // namespace shoal
