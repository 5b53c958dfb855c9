#include "app/live_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "fs/hand_over.h"
#include "testing/scripted_http_server.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

MountOptions Options(const std::string& list) {
  auto options = ParseMountOptions({"efc,g_tier_DadiMemCacheCapacityMB=64", list}, false);
  EXPECT_TRUE(options) << options.error().detail;
  return *options;
}

TEST(LiveChange, NamesWhatDiffers) {
  EXPECT_THAT(ChangedOptions(Options("log_level=info"), Options("log_level=info")),
              testing::IsEmpty());
  EXPECT_THAT(ChangedOptions(Options("log_level=info"), Options("log_level=debug,readahead_kb=4")),
              testing::ElementsAre("log_level", "readahead_kb"));
}

TEST(LiveChange, IsForSizesLimitsAndTheLogLevel) {
  const MountOptions from = Options("");
  EXPECT_TRUE(CanChangeLive(from, Options("g_tier_DadiMemCacheCapacityMB=128")));
  EXPECT_TRUE(CanChangeLive(from, Options("g_readdircache_RemainTime=5,log_level=debug")));
  EXPECT_TRUE(CanChangeLive(from, Options("cache_min_free_mb=5,entry_timeout=9,recovery_limit=7")));
  EXPECT_TRUE(CanChangeLive(from, Options("max_connections=5,warmup_connections=9")));
  EXPECT_FALSE(CanChangeLive(from, Options("g_tier_DadiCachePageSizeKB=64")));
  EXPECT_FALSE(CanChangeLive(from, Options("log_level=debug,connect_timeout=2")));
}

TEST(LiveChange, WhatTakesAnotherWorkerIsNamed) {
  const MountOptions from = Options("g_tier_BlockSize=8388608");
  const auto named = [&](const std::string& list) {
    return OptionsThatTakeAnotherWorker(from, Options("g_tier_BlockSize=8388608," + list));
  };
  EXPECT_THAT(named("log_level=debug,connect_timeout=2"), testing::ElementsAre("connect_timeout"));
  EXPECT_THAT(named("g_tier_DadiMemCacheCapacityMB=0"),
              testing::ElementsAre("g_tier_DadiMemCacheCapacityMB"));
  EXPECT_THAT(named("read_memory_mb=32"), testing::ElementsAre("read_memory_mb"));
  EXPECT_THAT(named("noatime"), testing::SizeIs(1));
}

TEST(LiveChange, MakesNoTierAndRemovesNone) {
  const MountOptions from = Options("");
  EXPECT_FALSE(CanChangeLive(from, Options("g_tier_DadiMemCacheCapacityMB=0")));
  EXPECT_FALSE(CanChangeLive(from, Options("g_tier_DadiDiskCacheCapacityMB=10")));
}

TEST(LiveChange, IsForMemoryTrafficCredentialsAndForWhatTheMetadataCacheBelieves) {
  const MountOptions from = Options("g_metadata_CacheEnable=true,passwd_file=/a");
  for (const char* change :
       {"read_memory_mb=64", "g_tier_DadiSdkGetTrafficLimit=0", "passwd_file=/b",
        "passwd_file=,g_oss_STSFile=/c", "g_readdircache_RemainTime=5"})
    EXPECT_TRUE(CanChangeLive(
        from, Options("g_metadata_CacheEnable=true,passwd_file=/a," + std::string(change))))
        << change;
}

TEST(LiveChange, KeepsBlocksOfOneSize) {
  const MountOptions from = Options("g_tier_BlockSize=8388608");
  EXPECT_TRUE(CanChangeLive(from, Options("g_tier_BlockSize=8388608,read_memory_mb=64")));
  EXPECT_FALSE(CanChangeLive(from, Options("g_tier_BlockSize=8388608,read_memory_mb=32")));
  EXPECT_FALSE(CanChangeLive(from, Options("g_tier_BlockSize=4194304")));
}

// A node of a bucket that answers everybody but whose key is "refused".
class LiveNodeTest : public testing::Test {
 protected:
  LiveNodeTest() {
    in_force_ = With("passwd_file=" + Keys("first"));
    auto node = Assemble(in_force_, clock_, hand_over_, FileDescriptor());
    EXPECT_TRUE(node) << node.error().detail;
    node_ = std::move(*node);
  }

  std::string Keys(const std::string& id) {
    std::string path = directory_.path() / id;
    std::ofstream(path) << id << ":secret\n";
    chmod(path.c_str(), 0600);
    return path;
  }
  MountOptions With(const std::string& list) {
    MountOptions options = Options("log_level=info," + list);
    options.origin.bucket = "data";
    options.origin.endpoint = server_.origin();
    options.origin.path_style = true;
    return options;
  }
  // The node also asks how large the bucket is, whenever it likes.
  std::vector<ScriptedRequest> Listings() {
    std::vector<ScriptedRequest> requests = server_.requests();
    std::erase_if(requests, [](const ScriptedRequest& request) {
      return request.target.find("list-type") == std::string::npos;
    });
    return requests;
  }
  // The key that requests are signed with.
  std::string KeyInUse() {
    (void)node_.store->List({}, Deadline{});
    const std::string signature = Listings().back().headers.at("authorization");
    const size_t begin = signature.find("Credential=") + 11;
    return signature.substr(begin, signature.find('/', begin) - begin);
  }
  std::string Refusal(const MountOptions& to) {
    const Result<> changed = ChangeLive(node_, in_force_, to, clock_);
    return changed ? "" : changed.error().detail;
  }

  TemporaryDirectory directory_;
  const SystemClock clock_;
  NoHandOver hand_over_;
  std::string listing_;  // what the bucket has
  ScriptedHttpServer server_{[this](const ScriptedRequest& request) {
    if (request.headers.at("authorization").find("Credential=refused/") != std::string::npos)
      return Answer("403 Forbidden", "", "<Error><Code>InvalidAccessKeyId</Code></Error>");
    if (request.target.find("list-type") == std::string::npos)
      return Answer("200 OK", "",
                    "<BucketStat><Storage>1</Storage><ObjectCount>2</ObjectCount></BucketStat>");
    return Answer(
        "200 OK", "",
        "<ListBucketResult><IsTruncated>false</IsTruncated>" + listing_ + "</ListBucketResult>");
  }};
  MountOptions in_force_;
  Node node_;
};

TEST_F(LiveNodeTest, OtherCredentialsAreTriedAndThenUsedByEveryRequest) {
  EXPECT_EQ(KeyInUse(), "first");
  const MountOptions to = With("passwd_file=" + Keys("second"));
  ASSERT_EQ(Refusal(to), "");
  EXPECT_EQ(KeyInUse(), "second");
  ASSERT_TRUE(node_.warmup_store->List({}, Deadline{}));
  EXPECT_THAT(Listings().back().headers.at("authorization"),
              testing::HasSubstr("Credential=second/"));
}

TEST_F(LiveNodeTest, CredentialsThatCannotBeUsedChangeNothingAndTheReasonIsSaid) {
  const std::string limit = ",g_tier_DadiSdkGetTrafficLimit=1048576";
  const std::string missing = directory_.path() / "missing";
  EXPECT_THAT(Refusal(With("passwd_file=" + missing + limit)), testing::HasSubstr(missing));
  const std::string refused = Keys("refused");
  EXPECT_THAT(Refusal(With("passwd_file=" + refused + limit)),
              testing::AllOf(testing::HasSubstr("refuses the credentials in " + refused),
                             testing::HasSubstr("InvalidAccessKeyId")));
  MountOptions loud = With("passwd_file=" + Keys("second") + limit);
  loud.command.log_level = "loud";
  EXPECT_THAT(Refusal(loud), testing::HasSubstr("loud"));
  EXPECT_EQ(KeyInUse(), "first");
  EXPECT_EQ(node_.traffic->rate(), 3072 * kMiB);
}

TEST_F(LiveNodeTest, HowLongTheKernelMayBelieveNamesIsSet) {
  const auto valid_for = [&] {
    const HandleId root = *node_.file_system->OpenDirectory(kRootInode);
    const auto entries = node_.file_system->ReadDirectory(root, 2, 10, Deadline{});
    node_.file_system->Release(root);
    return entries && !entries->empty() ? entries->front().entry.name_valid_for : Duration::zero();
  };
  listing_ =
      "<Contents><Key>file</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
      "<ETag>\"e\"</ETag><Size>1</Size></Contents>";
  EXPECT_EQ(valid_for(), std::chrono::seconds(1));
  ASSERT_EQ(Refusal(With("passwd_file=" + in_force_.origin.passwd_file + ",entry_timeout=9")), "");
  EXPECT_EQ(valid_for(), std::chrono::seconds(9));
}

TEST_F(LiveNodeTest, WhereTheCredentialsStayTheStoreIsNotAsked) {
  const size_t before = Listings().size();
  const MountOptions to = With("passwd_file=" + in_force_.origin.passwd_file +
                               ",g_tier_DadiSdkGetTrafficLimit=1048576");
  EXPECT_EQ(Refusal(to), "");
  EXPECT_EQ(node_.traffic->rate(), kMiB);
  EXPECT_EQ(Listings().size(), before);
}

}  // namespace
}  // namespace shoal
