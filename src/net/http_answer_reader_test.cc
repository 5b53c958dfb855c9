#include "net/http_answer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "testing/offering_receiver.h"

namespace shoal {
namespace {

// Gives the reader `bytes` in pieces of at most `piece_bytes` until it is done. Returns how many
// it took.
Result<size_t> Give(HttpAnswerReader& reader, std::string_view bytes, size_t piece_bytes) {
  size_t given = 0;
  while (!reader.done() && given < bytes.size()) {
    const std::span<std::byte> room = reader.Room();
    EXPECT_FALSE(room.empty());
    const size_t count = std::min({room.size(), piece_bytes, bytes.size() - given});
    std::memcpy(room.data(), bytes.data() + given, count);
    given += count;
    RETURN_IF_ERROR(reader.Took(count));
  }
  return given;
}

constexpr size_t kPieces[] = {1, 2, 3, 7, 64, 4096, SIZE_MAX};

TEST(HttpAnswerReaderTest, AnAnswerIsTheSameInWhateverPiecesItComes) {
  const std::string body(20'000, 'b');
  const std::string answer =
      "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nX-Odd:  b \r\nX-odd: c\r\n"
      "Content-Length: 20000\r\n\r\n" +
      body;
  for (const size_t room_bytes : {size_t{0}, size_t{1}, size_t{1000}, size_t{kMiB}}) {
    for (const size_t piece_bytes : kPieces) {
      OfferingReceiver receiver(room_bytes);
      HttpAnswerReader reader(receiver, true);
      const Result<size_t> given = Give(reader, answer, piece_bytes);
      ASSERT_TRUE(given) << given.error().detail;
      EXPECT_EQ(*given, answer.size());
      EXPECT_TRUE(reader.done());
      EXPECT_TRUE(reader.keeps_connection());
      EXPECT_EQ(receiver.begin_count, 1);
      EXPECT_EQ(receiver.head.status, 206);
      EXPECT_EQ(receiver.head.headers,
                (HttpHeaders{{"content-length", "20000"}, {"etag", "\"a\""}, {"x-odd", "c"}}));
      EXPECT_TRUE(receiver.body() == body);
    }
  }
}

TEST(HttpAnswerReaderTest, WhatFollowsTheHeadIsReceivedWhereTheReceiverSays) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n";
  OfferingReceiver receiver(kMiB);
  HttpAnswerReader reader(receiver, true);
  ASSERT_TRUE(Give(reader, head + std::string(20'000, 'b'), SIZE_MAX));
  EXPECT_EQ(receiver.body().size(), 20'000u);
  EXPECT_EQ(receiver.in_place_bytes, 20'000u + head.size() - 4096)
      << "all but what came with the head";
}

TEST(HttpAnswerReaderTest, NoMoreIsReceivedThereThanBelongsToTheAnswer) {
  OfferingReceiver receiver(kMiB);
  HttpAnswerReader reader(receiver, true);
  ASSERT_TRUE(Give(reader, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", SIZE_MAX));
  EXPECT_EQ(reader.Room().size(), 7u);
}

TEST(HttpAnswerReaderTest, ChunksAreTakenApartAndAnswersOnTheWayAreNotTheAnswer) {
  for (const size_t piece_bytes : kPieces) {
    OfferingReceiver receiver(kMiB);
    HttpAnswerReader reader(receiver, true);
    const Result<size_t> given =
        Give(reader,
             "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3;of=these\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n",
             piece_bytes);
    ASSERT_TRUE(given) << given.error().detail;
    EXPECT_TRUE(reader.done());
    EXPECT_TRUE(reader.keeps_connection());
    EXPECT_EQ(receiver.begin_count, 1);
    EXPECT_EQ(receiver.head.status, 200);
    EXPECT_EQ(receiver.head.headers.count("x-interim"), 0u);
    EXPECT_EQ(receiver.body(), "abcde");
  }
}

TEST(HttpAnswerReaderTest, AChunkedBodyMayBeEmpty) {
  for (const size_t piece_bytes : kPieces) {
    OfferingReceiver receiver(kMiB);
    HttpAnswerReader reader(receiver, true);
    const Result<size_t> given =
        Give(reader, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", piece_bytes);
    ASSERT_TRUE(given) << given.error().detail;
    EXPECT_TRUE(reader.done());
    EXPECT_EQ(receiver.body(), "");
  }
}

TEST(HttpAnswerReaderTest, AnAnswerOfNoLengthGoesOnUntilTheConnectionEnds) {
  OfferingReceiver receiver(kMiB);
  HttpAnswerReader reader(receiver, true);
  ASSERT_TRUE(Give(reader, "HTTP/1.1 200 OK\r\n\r\nabc", 5));
  EXPECT_FALSE(reader.done());
  ASSERT_TRUE(reader.Ended());
  EXPECT_TRUE(reader.done());
  EXPECT_FALSE(reader.keeps_connection());
  EXPECT_EQ(receiver.body(), "abc");
}

TEST(HttpAnswerReaderTest, SomeAnswersHaveNoBodyWhateverTheySay) {
  for (const auto& [answer, has_body] : {
           std::pair{"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", false},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false},
           {"HTTP/1.1 204 No Content\r\n\r\n", true},
           {"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n", true},
           {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
       }) {
    OfferingReceiver receiver(kMiB);
    HttpAnswerReader reader(receiver, has_body);
    ASSERT_TRUE(Give(reader, answer, SIZE_MAX)) << answer;
    EXPECT_TRUE(reader.done()) << answer;
    EXPECT_TRUE(reader.keeps_connection()) << answer;
    EXPECT_EQ(receiver.begin_count, 1) << answer;
    EXPECT_EQ(receiver.body(), "") << answer;
  }
}

TEST(HttpAnswerReaderTest, AConnectionIsNotKeptWhereItsServerSaysSoOrSaysTooMuch) {
  for (const char* answer : {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
                             "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
                             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK"}) {
    OfferingReceiver receiver(0);
    HttpAnswerReader reader(receiver, true);
    ASSERT_TRUE(Give(reader, answer, SIZE_MAX)) << answer;
    EXPECT_TRUE(reader.done()) << answer;
    EXPECT_FALSE(reader.keeps_connection()) << answer;
    EXPECT_EQ(receiver.body(), "x") << answer;
  }
}

TEST(HttpAnswerReaderTest, NorWhereThereIsABodyThatMayNotBe) {
  OfferingReceiver receiver(kMiB);
  HttpAnswerReader reader(receiver, /*has_body=*/false);
  ASSERT_TRUE(Give(reader, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", SIZE_MAX));
  EXPECT_TRUE(reader.done());
  EXPECT_FALSE(reader.keeps_connection());
  EXPECT_EQ(receiver.body(), "");
}

TEST(HttpAnswerReaderTest, AnAnswerCutShortIsUnreachable) {
  for (const char* answer :
       {"", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
    OfferingReceiver receiver(kMiB);
    HttpAnswerReader reader(receiver, true);
    ASSERT_TRUE(Give(reader, answer, 4)) << answer;
    EXPECT_EQ(reader.has_begun(), *answer != '\0') << answer;
    const Result<> ended = reader.Ended();
    ASSERT_FALSE(ended) << answer;
    EXPECT_EQ(ended.error(),
              (Error{Errc::kUnreachable, "the connection ended before the answer did"}))
        << answer;
  }
}

TEST(HttpAnswerReaderTest, WhatIsNotHttpIsUnreachable) {
  std::string endless_interim;
  for (int i = 0; i < 1000; ++i) endless_interim += "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string endless_chunk =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;" + std::string(kMiB, 'x');
  for (const std::string& answer :
       {std::string("hello\r\n\r\n"), std::string("HTTP/2.0 200 OK\r\n\r\n"),
        std::string("HTTP/1.1 abc OK\r\n\r\n"),
        std::string("HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello"),
        std::string("HTTP/1.1 000 OK\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        endless_interim, endless_chunk}) {
    OfferingReceiver receiver(kMiB);
    HttpAnswerReader reader(receiver, true);
    const Result<size_t> given = Give(reader, answer, SIZE_MAX);
    ASSERT_FALSE(given) << answer.substr(0, 100);
    EXPECT_EQ(given.error().code, Errc::kUnreachable);
    EXPECT_THAT(given.error().detail, testing::StartsWith("the answer is not HTTP: "));
  }
}

TEST(HttpAnswerReaderTest, AReceiverThatWantsNoMoreIsAskedNoMore) {
  OfferingReceiver receiver(kMiB);
  receiver.size_bytes_max = 5000;
  HttpAnswerReader reader(receiver, true);
  const Result<size_t> given = Give(
      reader, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + std::string(20'000, 'b'), 1000);
  ASSERT_FALSE(given);
  EXPECT_EQ(given.error().code, Errc::kInterrupted);
  EXPECT_LE(receiver.body().size(), 6000u);
}

}  // namespace
}  // namespace shoal
