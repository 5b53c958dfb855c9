#include "cli/patience.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::seconds;

const Error kNobody{Errc::kUnreachable, "no answer"};

TEST(Patience, LastsForSomeSecondsSinceTheLastAnswer) {
  Patience patience;
  const Instant begin{};
  EXPECT_TRUE(patience.AfterFailure(kNobody, begin));
  EXPECT_TRUE(patience.AfterFailure({Errc::kTimedOut, ""}, begin + seconds(14)));
  EXPECT_FALSE(patience.AfterFailure(kNobody, begin + seconds(15)));
  patience.AfterAnswer();
  EXPECT_TRUE(patience.AfterFailure(kNobody, begin + seconds(40)));
  EXPECT_TRUE(patience.AfterFailure(kNobody, begin + seconds(54)));
  EXPECT_FALSE(patience.AfterFailure(kNobody, begin + seconds(55)));
}

TEST(Patience, IsForThoseWhoDoNotAnswerAndNotForARefusal) {
  for (const Errc code :
       {Errc::kNotFound, Errc::kDenied, Errc::kInvalid, Errc::kUnusable, Errc::kInterrupted}) {
    Patience patience;
    EXPECT_FALSE(patience.AfterFailure({code, ""}, Instant{}));
  }
}

}  // namespace
}  // namespace shoal
