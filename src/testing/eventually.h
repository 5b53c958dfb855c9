// For what another thread does a moment later, and says to nobody.
#pragma once

#include <chrono>
#include <thread>

namespace shoal {

// Whether it became true, within 20 seconds.
template <class Condition>
bool Eventually(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace shoal
