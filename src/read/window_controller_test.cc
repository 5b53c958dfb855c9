#include "read/window_controller.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;

// Tells of a link that brings `bytes_per_second` in all, for half a second.
void Deliver(WindowController& window, uint64_t bytes_per_second) {
  for (int ms = 0; ms <= 500; ++ms)
    window.OnArrived(bytes_per_second / 1000, Instant(milliseconds(ms)));
}
// Twenty milliseconds to the first byte, 100 MiB/s from there.
void FetchOnce(WindowController& window) {
  window.OnFetched(kMiB, milliseconds(20), milliseconds(10));
}
void WaitOften(WindowController& window, int count = 1000) {
  for (int i = 0; i < count; ++i) window.OnServed(kMiB, true);
}

TEST(WindowController, StartsSmallAndStaysSoWhileNobodyWaits) {
  WindowController window;
  for (int i = 0; i < 1000; ++i) window.OnServed(kMiB, false);
  EXPECT_EQ(window.window_bytes(), kMiB);
  EXPECT_EQ(window.fetch_bytes(), kMiB);
}

TEST(WindowController, DoublesAtEachWaitUpToWhatNeedsNoProof) {
  WindowController window;
  for (const uint64_t expected_mib : {2U, 4U, 8U, 8U, 8U}) {
    window.OnServed(4096, true);
    EXPECT_EQ(window.window_bytes(), expected_mib * kMiB);
  }
}

TEST(WindowController, GrowsNoFurtherWithoutMeasurements) {
  WindowController window;
  WaitOften(window);
  EXPECT_EQ(window.window_bytes(), 8 * kMiB);
}

TEST(WindowController, EndsAtTwiceWhatIsUnderWayOnTheFullLink) {
  WindowController window;
  FetchOnce(window);
  Deliver(window, 500 * kMiB);
  WaitOften(window);
  // 500 MiB/s for 20 ms and the time of one fetch.
  const double fetch_seconds =
      0.020 + static_cast<double>(window.fetch_bytes()) / static_cast<double>(100 * kMiB);
  const double enough_bytes = 2 * 500 * static_cast<double>(kMiB) * fetch_seconds;
  EXPECT_LE(static_cast<double>(window.window_bytes()), enough_bytes * 1.01);
  EXPECT_GE(static_cast<double>(window.window_bytes()), enough_bytes * 0.8);
}

TEST(WindowController, DoublesAtMostOnceInHalfAWindow) {
  WindowController window;
  FetchOnce(window);
  Deliver(window, 2000 * kMiB);
  WaitOften(window, 3);
  EXPECT_EQ(window.window_bytes(), 8 * kMiB);
  WaitOften(window, 3);
  EXPECT_EQ(window.window_bytes(), 8 * kMiB);
  WaitOften(window, 1);
  EXPECT_EQ(window.window_bytes(), 16 * kMiB);
}

TEST(WindowController, NearOriginNeedsNoMore) {
  WindowController window;
  window.OnFetched(kMiB, std::chrono::microseconds(200), std::chrono::microseconds(500));
  Deliver(window, 2500 * kMiB);
  WaitOften(window);
  EXPECT_LE(window.window_bytes(), 8 * kMiB);
}

TEST(WindowController, SlowFetchesOfAFullLinkDoNotMakeItGrow) {
  WindowController window;
  FetchOnce(window);
  Deliver(window, 500 * kMiB);
  WaitOften(window);
  const uint64_t before = window.window_bytes();
  for (int i = 0; i < 100; ++i) window.OnFetched(2 * kMiB, milliseconds(500), milliseconds(900));
  WaitOften(window);
  EXPECT_EQ(window.window_bytes(), before);
}

TEST(WindowController, NeverPassesItsLimit) {
  WindowController window({.max_bytes = 40 * kMiB});
  window.OnFetched(kMiB, milliseconds(200), milliseconds(1));
  Deliver(window, 4000 * kMiB);
  WaitOften(window);
  EXPECT_EQ(window.window_bytes(), 40 * kMiB);
}

TEST(WindowController, SetbackHalvesItOnceForEachWindow) {
  WindowController window;
  WaitOften(window, 20);
  window.OnSetback();
  window.OnSetback();
  EXPECT_EQ(window.window_bytes(), 4 * kMiB);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 8; ++i) window.OnServed(kMiB, false);
    window.OnSetback();
  }
  EXPECT_EQ(window.window_bytes(), kMiB);
}

}  // namespace
}  // namespace shoal
