#include "origin/credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "base/log.h"
#include "testing/fake_clock.h"
#include "testing/no_descriptors.h"

namespace shoal {
namespace {

// The fake clock starts at 2023-11-14T22:13:20Z.
constexpr const char* kSts = R"({"SecurityToken":"t1","AccessKeyId":"i1","AccessKeySecret":"s1",)"
                             R"("Expiration":"2023-11-14T22:14:20Z"})";
constexpr const char* kNextSts =
    R"({"SecurityToken":"t2","AccessKeyId":"i2","AccessKeySecret":"s2",)"
    R"("Expiration":"2023-11-14T23:14:20Z"})";
const AccessKeys kStsKeys{"i1", "s1", "t1", 1'700'000'060};
const AccessKeys kNextStsKeys{"i2", "s2", "t2", 1'700'003'660};

class CredentialFileTest : public testing::Test {
 protected:
  CredentialFileTest() {
    std::string name = (std::filesystem::temp_directory_path() / "shoal-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    path_ = directory_ / "credentials";
  }
  ~CredentialFileTest() override { std::filesystem::remove_all(directory_); }

  // As a careful agent does it: a new file, renamed over the old.
  void Write(const std::string& text, mode_t mode = 0600) {
    const auto fresh = directory_ / "fresh";
    std::ofstream(fresh) << text;
    ASSERT_EQ(chmod(fresh.c_str(), mode), 0);
    std::filesystem::rename(fresh, path_);
  }
  Result<std::unique_ptr<CredentialSource>> Open(CredentialFormat format = CredentialFormat::kSts) {
    return OpenCredentialFile(path_.string(), format, clock_);
  }
  [[nodiscard]] std::string Named(const std::string& reason) const {
    return "credential file " + path_.string() + ": " + reason;
  }

  FakeClock clock_;
  std::filesystem::path directory_;
  std::filesystem::path path_;
};

TEST(ParseCredentials, ReadsAPasswdLine) {
  EXPECT_EQ(ParseCredentials(CredentialFormat::kPasswd, "id:se:cret\n").value(),
            (AccessKeys{"id", "se:cret", "", 0}));
}

TEST(ParseCredentials, ReadsTheJsonOfTheSpecification) {
  EXPECT_EQ(ParseCredentials(
                CredentialFormat::kSts,
                R"({"SecurityToken": "CAIS+/=", "AccessKeyId": "STS.x", "AccessKeySecret": "y",
                    "Expiration": "2025-12-11T08:37:51Z", "Code": "Success"})")
                .value(),
            (AccessKeys{"STS.x", "y", "CAIS+/=", 1765442271}));
}

TEST(ParseCredentials, RefusesWhatItCannotUseAndRepeatsNoSecret) {
  const auto refusal = [](CredentialFormat format, const std::string& text) {
    return ParseCredentials(format, text).error();
  };
  constexpr auto kPasswd = CredentialFormat::kPasswd;
  constexpr auto kJson = CredentialFormat::kSts;
  EXPECT_EQ(refusal(kPasswd, "hunter2"),
            (Error{Errc::kInvalid, "it is not AccessKeyId:AccessKeySecret"}));
  for (const auto& [text, reason] :
       {std::pair{"", "it is not AccessKeyId:AccessKeySecret"},
        {"id:", "its AccessKeySecret is empty"},
        {":secret", "its AccessKeyId is empty"},
        {"id:secret\nid:hunter2\n",
         "it has more than one line; it is one AccessKeyId:AccessKeySecret"},
        {"id : hunter2", "its AccessKeyId has a space in it"},
        {"id: hunter2", "its AccessKeySecret has a space in it"},
        {"id:hunter\xc3\xa4", "its AccessKeySecret has a character that is not printable ASCII"}})
    EXPECT_EQ(refusal(kPasswd, text), (Error{Errc::kInvalid, reason})) << text;
  EXPECT_EQ(refusal(kJson, R"({"AccessKeyId":"i","AccessKeySecret":"hunter2)"),
            (Error{Errc::kInvalid, "it is not a JSON object"}));
  EXPECT_EQ(refusal(kJson, "[]"), (Error{Errc::kInvalid, "it is not a JSON object"}));
  EXPECT_EQ(refusal(kJson, R"({"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":7})"),
            (Error{Errc::kInvalid, "it has no SecurityToken"}));
  EXPECT_EQ(
      refusal(kJson, R"({"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t\r\nX:",)"
                     R"("Expiration":"2025-12-11T08:37:51Z"})"),
      (Error{Errc::kInvalid, "its SecurityToken has a character that is not printable ASCII"}));
  EXPECT_EQ(refusal(kJson, R"({"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t",)"
                           R"("Expiration":"tomorrow"})"),
            (Error{Errc::kInvalid, "its Expiration is not a time like 2025-12-11T08:37:51Z"}));
}

TEST_F(CredentialFileTest, GivesTheKeysOfTheFile) {
  Write(kSts);
  EXPECT_EQ(Open().value()->Current().value(), kStsKeys);
}

TEST_F(CredentialFileTest, FollowsALinkAsKubernetesMakesThem) {
  Write(kSts);
  std::filesystem::rename(path_, directory_ / "data");
  std::filesystem::create_symlink(directory_ / "data", path_);
  EXPECT_EQ(Open().value()->Current().value(), kStsKeys);
}

TEST_F(CredentialFileTest, RefusesAFileThatOthersCanRead) {
  Write(kSts, 0640);
  EXPECT_EQ(Open().error(),
            (Error{Errc::kDenied,
                   Named("open to others than its owner; run: chmod 600 ") + path_.string()}));
}

TEST_F(CredentialFileTest, RefusesAFileOfAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  Write(kSts);
  ASSERT_EQ(chown(path_.c_str(), 65534, 65534), 0);
  EXPECT_EQ(Open().error(), (Error{Errc::kDenied, Named("owned by another user; run: chown root ") +
                                                      path_.string()}));
}

TEST_F(CredentialFileTest, RefusesAMissingFileADirectoryAFifoAndALongFile) {
  EXPECT_EQ(Open().error(), (Error{Errc::kDenied, Named("No such file or directory")}));
  std::filesystem::create_directory(path_);
  EXPECT_EQ(Open().error(), (Error{Errc::kDenied, Named("not a regular file")}));
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(Open().error(), (Error{Errc::kDenied, Named("not a regular file")}));
  Write(std::string(64 * 1024 + 1, ' '));
  EXPECT_EQ(Open().error(), (Error{Errc::kDenied, Named("longer than 64 KiB")}));
}

TEST_F(CredentialFileTest, SeesAChangedFileAfterASecond) {
  Write(kSts);
  const auto source = Open().value();
  Write(kNextSts);
  EXPECT_EQ(source->Current().value(), kStsKeys);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(source->Current().value(), kNextStsKeys);
}

TEST_F(CredentialFileTest, GoesOnWithTheOldKeysWhileTheNewFileIsTornOrGone) {
  Write(kSts);
  const auto source = Open().value();
  Write(std::string(kNextSts).substr(0, 40));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(source->Current().value(), kStsKeys);
  std::filesystem::remove(path_);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(source->Current().value(), kStsKeys);
  Write(kNextSts);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(source->Current().value(), kNextStsKeys);
}

TEST_F(CredentialFileTest, AFileThatCouldNotBeReadIsLookedAtAgainAndWarnedOfOnce) {
  Write(kSts);
  const auto source = Open().value();
  Write(kNextSts);
  {
    const NoDescriptors none;
    for (int i = 0; i < 3; ++i) {
      clock_.Advance(std::chrono::seconds(1));
      EXPECT_EQ(source->Current().value(), kStsKeys);
    }
  }
  const std::string warning = Named("Too many open files; going on with the keys from before");
  EXPECT_EQ(std::ranges::count(log::RecentTrouble(), warning, &log::Event::text), 1);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(source->Current().value(), kNextStsKeys);
}

TEST_F(CredentialFileTest, ExpiredKeysAreGivenToNobodyUntilTheFileIsRenewed) {
  Write(kSts);
  const auto source = Open().value();
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_EQ(source->Current().error(),
            (Error{Errc::kDenied, Named("its keys expired at 2023-11-14T22:14:20Z")}));
  Write(kNextSts);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(source->Current().value(), kNextStsKeys);
}

TEST_F(CredentialFileTest, ManyThreadsGetWholeKeysWhileTheFileChanges) {
  Write(kSts);
  const auto source = Open().value();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) {
        const AccessKeys keys = source->Current().value();
        EXPECT_TRUE(keys == kStsKeys || keys == kNextStsKeys);
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    Write(i % 2 == 0 ? kNextSts : kSts);
    clock_.Advance(std::chrono::seconds(1));
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace shoal
