// CRC-64 as OSS reckons it for x-oss-hash-crc64ecma: the polynomial of ECMA-182, reflected, with
// all bits turned over before and after (CRC-64/XZ). Of "123456789" it is 0x995DC9BBDF1939FA.
// Safe from any thread.
#pragma once

#include <isa-l/crc64.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal {

// Of `bytes` behind those that `before` is the sum of; 0: of none.
inline uint64_t Crc64(uint64_t before, std::span<const std::byte> bytes) {
  return crc64_ecma_refl(before, reinterpret_cast<const unsigned char*>(bytes.data()),
                         bytes.size());
}

}  // namespace shoal
