#include "fuse/receiver_watch.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::seconds;

TEST(ReceiverWatch, KnowsForHowLongAThreadHasBeenInARequest) {
  ReceiverWatch watch;
  const Instant start{seconds(100)};
  EXPECT_EQ(watch.Longest(start), Duration::zero());
  ReceiverWatch::Seat& one = watch.AddSeat();
  ReceiverWatch::Seat& two = watch.AddSeat();
  EXPECT_EQ(watch.Longest(start), Duration::zero());
  one.Begin(start);
  two.Begin(start + seconds(2));
  EXPECT_EQ(watch.Longest(start + seconds(5)), seconds(5));
  one.End();
  EXPECT_EQ(watch.Longest(start + seconds(5)), seconds(3));
  two.End();
  EXPECT_EQ(watch.Longest(start + seconds(5)), Duration::zero());
}

TEST(ReceiverWatch, ARequestThatBeganAMomentLaterTakesNoTime) {
  ReceiverWatch watch;
  watch.AddSeat().Begin(Instant{seconds(2)});
  EXPECT_EQ(watch.Longest(Instant{seconds(1)}), Duration::zero());
}

TEST(ReceiverWatch, ARequestIsAnotherOneThanThatBefore) {
  ReceiverWatch watch;
  ReceiverWatch::Seat& seat = watch.AddSeat();
  for (int i = 0; i < 100; ++i) {
    seat.Begin(Instant{seconds(i)});
    seat.End();
  }
  seat.Begin(Instant{seconds(100)});
  EXPECT_EQ(watch.Longest(Instant{seconds(101)}), seconds(1));
}

}  // namespace
}  // namespace shoal
