#include "app/probe_bucket.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

// Answers every listing with what it was given, and keeps the last query.
class AnsweringStore final : public ObjectStore {
 public:
  explicit AnsweringStore(Result<ListPage> answer) : answer_(std::move(answer)) {}

  Result<ListPage> List(const ListQuery& query, Deadline) override {
    query_ = query;
    return answer_;
  }
  Result<ObjectInfo> Head(std::string_view key, Deadline) override {
    if (key == object) return ObjectInfo{};
    return Fail(Errc::kNotFound, "Head");
  }
  Result<GetAnswer> Get(const ObjectVersion&, ByteRange, ByteSink&, Deadline) override {
    return Fail(Errc::kUnsupported, "Get");
  }
  Result<BucketUsage> Usage(Deadline) override { return Fail(Errc::kUnsupported, "Usage"); }

  std::string object = "";
  [[nodiscard]] const ListQuery& query() const { return query_; }

 private:
  Result<ListPage> answer_;
  ListQuery query_;
};

class FixedCredentials final : public CredentialSource {
 public:
  Result<AccessKeys> Current() override { return answer; }
  Result<AccessKeys> answer = AccessKeys{};
};

OriginOptions Options() {
  OriginOptions options;
  options.bucket = "data";
  options.endpoint = "https://e.com";
  options.passwd_file = "/etc/passwd-oss";
  return options;
}

Error Refusal(Errc code, const OriginOptions& options = Options()) {
  FixedCredentials credentials;
  AnsweringStore store(Fail(code, "List: HTTP 4xx Code RequestId"));
  auto result = ProbeBucket(store, credentials, options, "", Deadline{});
  return result ? Error{} : result.error();
}

TEST(ProbeBucket, AsksForOneKeyOfOneDirectory) {
  FixedCredentials credentials;
  AnsweringStore store(ListPage{});
  EXPECT_TRUE(ProbeBucket(store, credentials, Options(), "a/b/", Deadline{}));
  EXPECT_EQ(store.query().prefix, "a/b/");
  EXPECT_EQ(store.query().delimiter, "/");
  EXPECT_EQ(store.query().max_keys, 1u);
}

TEST(ProbeBucket, APrefixWithNothingBelowItIsWarnedOfAndAnObjectRefused) {
  FixedCredentials credentials;
  AnsweringStore store(ListPage{});
  EXPECT_EQ(ProbeBucket(store, credentials, Options(), "", Deadline{}).value(), "");
  EXPECT_EQ(ProbeBucket(store, credentials, Options(), "a/b/", Deadline{}).value(),
            "bucket 'data' holds nothing below 'a/b/'; the mount is empty until it does");
  store.object = "a/b";
  EXPECT_EQ(ProbeBucket(store, credentials, Options(), "a/b/", Deadline{}).error(),
            (Error{Errc::kNotDirectory,
                   "'a/b' in bucket 'data' is an object, and not a directory to mount"}));
  AnsweringStore full(ListPage{.objects = {}, .common_prefixes = {"a/b/c/"}, .next = {}});
  full.object = "a/b";
  EXPECT_EQ(ProbeBucket(full, credentials, Options(), "a/b/", Deadline{}).value(), "");
}

TEST(ProbeBucket, TellsTheReasonsApartAndPassesOnWhatTheStoreSaid) {
  EXPECT_EQ(Refusal(Errc::kDenied),
            (Error{Errc::kDenied,
                   "https://e.com refuses the credentials in /etc/passwd-oss for bucket 'data': "
                   "List: HTTP 4xx Code RequestId"}));
  EXPECT_EQ(Refusal(Errc::kUnreachable),
            (Error{Errc::kUnreachable,
                   "no usable answer from https://e.com: List: HTTP 4xx Code RequestId"}));
  EXPECT_EQ(Refusal(Errc::kTimedOut).detail,
            "no usable answer from https://e.com: List: HTTP 4xx Code RequestId");
  EXPECT_EQ(Refusal(Errc::kUnusable).detail,
            "bucket 'data' cannot be listed at https://e.com: List: HTTP 4xx Code RequestId");
}

TEST(ProbeBucket, KeysThatExpiredAreNotSaidToBeRefused) {
  AnsweringStore store(ListPage{});
  FixedCredentials credentials;
  credentials.answer = Fail(Errc::kDenied, "credential file /etc/sts: its keys expired");
  EXPECT_EQ(ProbeBucket(store, credentials, Options(), "", Deadline{}).error(),
            (Error{Errc::kDenied, "credential file /etc/sts: its keys expired"}));
  EXPECT_EQ(store.query().max_keys, ListQuery{}.max_keys) << "it was asked";
}

TEST(ProbeBucket, NamesTheTokenFileWhenThatIsWhatIsUsed) {
  OriginOptions options = Options();
  options.passwd_file.clear();
  options.sts_file = "/etc/passwd-sts";
  EXPECT_EQ(Refusal(Errc::kDenied, options).detail,
            "https://e.com refuses the credentials in /etc/passwd-sts for bucket 'data': "
            "List: HTTP 4xx Code RequestId");
}

}  // namespace
}  // namespace shoal
