#include "app/doctor_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "net/http_server.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

using Severity = Finding::Severity;

TEST(DoctorChecks, SayWhatAnOlderKernelDoesNotHave) {
  EXPECT_EQ(CheckKernel("6.18.44-custom").severity, Severity::kGood);
  EXPECT_THAT(CheckKernel("6.8.0-79-generic").advice, testing::HasSubstr("passthrough"));
  EXPECT_THAT(CheckKernel("6.12.9").advice, testing::HasSubstr("6.16"));
  EXPECT_EQ(CheckKernel("nonsense").severity, Severity::kNote);
}

TEST(DoctorChecks, TellNoIoUringFromOneThatIsSwitchedOffOrForbidden) {
  EXPECT_EQ(CheckIoUring("6.18.1", true, {}).severity, Severity::kGood);
  EXPECT_THAT(CheckIoUring("6.18.1", false, {}).text, testing::HasSubstr("switched off"));
  EXPECT_THAT(CheckIoUring("6.8.0", false, {}).text, testing::HasSubstr("none"));
  const Finding forbidden =
      CheckIoUring("6.18.1", true, Fail(Errc::kDenied, "io_uring_setup: Operation not permitted"));
  EXPECT_EQ(forbidden.severity, Severity::kNote);
  EXPECT_THAT(forbidden.text, testing::HasSubstr("not permitted"));
  EXPECT_THAT(forbidden.advice, testing::HasSubstr("kernel.io_uring_disabled"));
}

TEST(DoctorChecks, KnowWhichClockTheStoreRefuses) {
  EXPECT_EQ(CheckClock(0).severity, Severity::kGood);
  EXPECT_EQ(CheckClock(-31).severity, Severity::kNote);
  EXPECT_EQ(CheckClock(901).severity, Severity::kBad);
  EXPECT_THAT(CheckClock(901).text, testing::HasSubstr("901 s ahead of"));
  EXPECT_THAT(CheckClock(-901).text, testing::HasSubstr("901 s behind"));
}

TEST(DoctorChecks, NoteALowLimitOfDescriptors) {
  EXPECT_EQ(CheckDescriptors(1024).severity, Severity::kNote);
  EXPECT_EQ(CheckDescriptors(1 << 20).severity, Severity::kGood);
}

TEST(DoctorChecks, NoteALowLimitOfThreadsAndWhoseItIs) {
  const Finding low = CheckThreads({500, "the control group /job"});
  EXPECT_EQ(low.severity, Severity::kNote);
  EXPECT_EQ(low.text, "the control group /job may have 500");
  EXPECT_EQ(CheckThreads({30'000, "the machine"}).severity, Severity::kGood);
}

TEST(DoctorChecks, FindADirectoryThatIsMissingAndAnEndpointThatDoesNotAnswer) {
  const TemporaryDirectory directory;
  MountOptions options;
  options.cache.disk_capacity_mib = 1;
  options.cache.disk_directories = directory.path().string() + "/:/no/such/directory/";
  options.origin.endpoint = "http://127.0.0.1:1";
  options.origin.bucket = "data";
  const SystemClock clock;
  std::vector<std::string> bad;
  for (const Finding& finding : CheckMount(options, clock))
    if (finding.severity == Severity::kBad) bad.push_back(finding.subject);
  EXPECT_THAT(bad, testing::ElementsAre("cache /no/such/directory/", "endpoint", "credentials"));
}

// What is said of a cache in `directory`, of a mount whose store is not there.
Finding OfCache(const TemporaryDirectory& directory) {
  MountOptions options;
  options.cache.disk_capacity_mib = 1;
  options.cache.disk_directories = directory.path().string();
  options.origin.endpoint = "http://127.0.0.1:1";
  options.origin.bucket = "data";
  const SystemClock clock;
  const std::vector<Finding> findings = CheckSurroundings(options, clock);
  EXPECT_EQ(findings[0].subject, "cache " + directory.path().string() + "/");
  return findings[0];
}

TEST(DoctorChecks, TryToWriteToADirectoryAndLeaveNothing) {
  const TemporaryDirectory directory;
  EXPECT_NE(OfCache(directory).severity, Severity::kBad);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(DoctorChecks, NoteAStateDirectoryThatCannotKeepWarmUpTasks) {
  const TemporaryDirectory directory;
  MountOptions options;
  options.cache.memory_capacity_mib = 64;
  options.admin.port = 17871;
  options.origin.endpoint = "http://127.0.0.1:1";
  options.origin.bucket = "data";
  const SystemClock clock;
  const auto finding = [&](const std::string& path) {
    options.command.state_directory = path;
    return CheckSurroundings(options, clock).front();
  };
  const std::string path = directory.path();
  std::ofstream(path + "/file") << "x";
  EXPECT_EQ(finding(path + "/not/yet/there").text, "can be written");
  EXPECT_TRUE(std::filesystem::exists(path) && !std::filesystem::exists(path + "/not"));
  EXPECT_EQ(finding(path + "/file/below").severity, Finding::Severity::kNote);
  EXPECT_EQ(finding(path + "/file/below").text, path + "/file is no directory");
  EXPECT_EQ(finding(path + "/file/below").subject, "state " + path + "/file/below");
  std::filesystem::create_symlink("nowhere", path + "/link");
  EXPECT_EQ(finding(path + "/link").text, path + "/link is no directory");
  options.admin.port = 0;
  EXPECT_EQ(finding(path + "/file/below").subject, "endpoint") << "no port, no tasks";
}

TEST(DoctorChecks, NameWhatIsInTheWayOfACache) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "shoal-cache") << "not ours";
  EXPECT_EQ(OfCache(directory).severity, Severity::kBad);
  EXPECT_EQ(OfCache(directory).text, "shoal-cache in it is not a plain directory");
}

TEST(DoctorChecks, NoteADirectoryThatOthersMayWriteTo) {
  const TemporaryDirectory directory;
  std::filesystem::permissions(directory.path(), std::filesystem::perms(0777));
  const Finding open_to_all = OfCache(directory);
  EXPECT_EQ(open_to_all.severity, Severity::kNote);
  EXPECT_EQ(open_to_all.text, "has mode 777");
  EXPECT_THAT(open_to_all.advice, testing::HasSubstr("chmod 755 " + directory.path().string()));
  std::filesystem::permissions(directory.path(), std::filesystem::perms(01777));
  EXPECT_NE(OfCache(directory).text, "has mode 1777") << "what is in it is its owner's alone";
}

TEST(DoctorChecks, SayAllThatIsWrongAndNotTheFirstAlone) {
  const SystemClock clock;
  const auto other = HttpServer::Start(
      {}, [](const HttpCall&) { return HttpAnswer(); }, clock);
  ASSERT_TRUE(other);
  MountOptions options;
  options.origin.endpoint = "http://127.0.0.1:1";
  options.origin.bucket = "data";
  options.origin.passwd_file = "/no/such/file";
  options.admin.port = (*other)->port();
  std::vector<std::string> bad;
  for (const Finding& finding : CheckMount(options, clock))
    if (finding.severity == Severity::kBad) bad.push_back(finding.subject);
  EXPECT_THAT(bad, testing::ElementsAre("admin port", "endpoint", "credentials"));
}

// What is bad about a mount with these options, but for the store, which is not there.
std::vector<std::string> BadOf(MountOptions options) {
  options.origin.endpoint = "http://127.0.0.1:1";
  options.origin.bucket = "data";
  const SystemClock clock;
  std::vector<std::string> bad;
  for (const Finding& finding : CheckMount(options, clock))
    if (finding.severity == Severity::kBad && finding.subject != "endpoint" &&
        finding.subject != "credentials")
      bad.push_back(finding.subject + ": " + finding.text);
  return bad;
}

TEST(DoctorChecks, NameDirectoriesThatNoCacheCanBeIn) {
  const TemporaryDirectory directory;
  MountOptions options;
  options.cache.disk_capacity_mib = 1;
  EXPECT_THAT(BadOf(options),
              testing::ElementsAre(testing::HasSubstr("g_tier_DadiDiskCacheCapacityMB: needs")));
  options.cache.disk_directories = directory.path().string() + ":cache";
  EXPECT_THAT(BadOf(options),
              testing::ElementsAre(testing::HasSubstr("'cache' is not an absolute path")));
  options.cache.disk_directories =
      directory.path().string() + ":" + directory.path().string() + "/";
  EXPECT_THAT(BadOf(options), testing::ElementsAre(testing::HasSubstr("is named twice")));
  options.cache.disk_directories = directory.path();
  EXPECT_THAT(BadOf(options), testing::IsEmpty());
}

TEST(DoctorChecks, NameAPageSizeThatNoTierHas) {
  MountOptions options;
  options.cache.memory_capacity_mib = 1;
  options.cache.page_kib = 48;
  EXPECT_THAT(BadOf(options),
              testing::ElementsAre(testing::HasSubstr("g_tier_DadiCachePageSizeKB: 48 is not")));
  options.cache.enabled = false;
  EXPECT_THAT(BadOf(options), testing::IsEmpty());
}

TEST(DoctorChecks, OpenTheTokenAndTheCertificateOfTheAdminPort) {
  const TemporaryDirectory directory;
  MountOptions options;
  {
    const SystemClock clock;
    const auto other = HttpServer::Start(
        {}, [](const HttpCall&) { return HttpAnswer(); }, clock);
    ASSERT_TRUE(other);
    options.admin.port = (*other)->port();  // free when it has gone
  }
  EXPECT_THAT(BadOf(options), testing::IsEmpty());
  options.admin.token_file = "/no/such/token";
  options.admin.certificate_file = "/no/such/certificate";
  options.admin.key_file = "/no/such/key";
  EXPECT_THAT(BadOf(options),
              testing::ElementsAre(testing::HasSubstr("admin_token_file: /no/such/token"),
                                   testing::HasSubstr("g_server_Port: /no/such/certificate")));
}

}  // namespace
}  // namespace shoal
