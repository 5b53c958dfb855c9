#include "cli/stat_command.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(DescribeLastRequest, HasWhatAnOperatorAsksFor) {
  Json request = {{"Operation", "GetObject"},
                  {"Id", "656F3B1C00000000000000AA"},
                  {"Status", 206},
                  {"Failure", ""},
                  {"EndTime", 1'700'000'000'999'999}};
  EXPECT_EQ(DescribeLastRequest(request),
            "656F3B1C00000000000000AA, GetObject at 2023-11-14 22:13:20 UTC: HTTP 206");
  request["Status"] = 503;
  request["Failure"] = "GetObject 'a': HTTP 503, ServerBusy";
  EXPECT_EQ(DescribeLastRequest(request),
            "656F3B1C00000000000000AA, GetObject at 2023-11-14 22:13:20 UTC: "
            "GetObject 'a': HTTP 503, ServerBusy");
  request["Id"] = "";
  request["Failure"] = "GetObject 'a': timed out";
  EXPECT_EQ(DescribeLastRequest(request),
            "without an id, GetObject at 2023-11-14 22:13:20 UTC: GetObject 'a': timed out");
}

TEST(DescribeLastRequest, SaysThatThereIsNone) {
  EXPECT_EQ(DescribeLastRequest(nullptr), "none that is remembered");
}

}  // namespace
}  // namespace shoal
