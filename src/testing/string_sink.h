// Keeps all that comes.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/bytes.h"

namespace shoal {

class StringSink final : public ByteSink {
 public:
  bool Append(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }
  std::string text;
};

}  // namespace shoal
