// Whatever a store says, the detail stays on one line.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "origin/error_document.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto error = shoal::FailureOf({.name = "GetObject", .right = "oss:GetObject", .key = text},
                                      403, shoal::ParseErrorDocument(text));
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20; };
  if (std::ranges::any_of(error.detail, is_control)) std::abort();
  return 0;
}
