#include "origin/last_requests.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace shoal {
namespace {

LastRequest Named(const std::string& id) {
  return {.operation = "GetObject", .id = id, .status = 206};
}

TEST(LastRequestsTest, KeepTheNewestOfEachObject) {
  LastRequests requests;
  EXPECT_EQ(requests.Of("a"), std::nullopt);
  requests.Note("a", Named("1"));
  requests.Note("b", Named("2"));
  requests.Note("a", Named("3"));
  EXPECT_EQ(requests.Of("a"), Named("3"));
  EXPECT_EQ(requests.Of("b"), Named("2"));
}

TEST(LastRequestsTest, TheObjectAskedForLeastLatelyMakesRoom) {
  LastRequests requests(2);
  requests.Note("a", Named("1"));
  requests.Note("b", Named("2"));
  requests.Note("a", Named("3"));
  requests.Note("c", Named("4"));
  EXPECT_EQ(requests.Of("a"), Named("3"));
  EXPECT_EQ(requests.Of("b"), std::nullopt);
  EXPECT_EQ(requests.Of("c"), Named("4"));
}

TEST(LastRequestsTest, WhatTheStoreSentIsCutShort) {
  LastRequests requests;
  LastRequest endless = Named(std::string(1 << 20, 'i'));
  endless.failure = std::string(1 << 20, 'f');
  requests.Note("a", endless);
  endless.id.resize(LastRequests::kIdBytesMax);
  endless.failure.resize(LastRequests::kFailureBytesMax);
  EXPECT_EQ(requests.Of("a"), endless);
}

TEST(LastRequestsTest, ManyThreadsMayNoteAndAsk) {
  constexpr int kKeyCountMax = 50;
  LastRequests requests(kKeyCountMax);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&requests] {
      for (int i = 0; i < 2000; ++i) {
        const std::string key = std::to_string(i % (2 * kKeyCountMax));
        requests.Note(key, Named(key));
        EXPECT_EQ(requests.Of(key).value_or(Named(key)), Named(key));
      }
    });
  for (std::thread& thread : threads) thread.join();
  int kept_count = 0;
  for (int i = 0; i < 2 * kKeyCountMax; ++i)
    if (requests.Of(std::to_string(i))) ++kept_count;
  EXPECT_EQ(kept_count, kKeyCountMax);
}

}  // namespace
}  // namespace shoal
