#include "app/mount_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <map>
#include <set>

#include "app/option_reference.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

MountOptions Parsed(const std::vector<std::string>& arguments, bool sloppy = false) {
  auto result = ParseMountOptions(arguments, sloppy);
  EXPECT_TRUE(result) << (result ? "" : result.error().detail);
  return result ? *result : MountOptions{};
}

std::string Refusal(const std::string& argument) {
  auto result = ParseMountOptions({argument}, /*sloppy=*/false);
  if (result) return "accepted";
  EXPECT_EQ(result.error().code, Errc::kInvalid);
  return result.error().detail;
}

std::map<std::string, std::string> DefaultsByName() {
  std::map<std::string, std::string> out;
  const MountOptions defaults;
  ForEachOptionGroup([&](std::string_view, auto member, const auto& declarations) {
    ForEachOption(declarations, [&](const auto& option) {
      EXPECT_TRUE(out.emplace(option.name, Show((defaults.*member).*(option.field))).second)
          << option.name << " is declared twice";
    });
  });
  return out;
}

TEST(MountOptions, ReadsTheBasicMountOfTheSpecificationWithoutComplaint) {
  const MountOptions options = Parsed({"rw,efc,protocol=oss,g_oss_STSFile=/etc/passwd-sts"});
  EXPECT_EQ(options.origin.protocol, "oss");
  EXPECT_EQ(options.origin.sts_file, "/etc/passwd-sts");
  EXPECT_THAT(options.notices,
              ElementsAre(Notice{false, "rw: the mount is read-only all the same"}));
}

TEST(MountOptions, SaysThatADirectoryWithoutACapacityKeepsNothing) {
  EXPECT_THAT(Parsed({"g_tier_DadiDiskCachePath=/a/"}).notices,
              ElementsAre(Notice{true,
                                 "g_tier_DadiDiskCachePath: nothing is kept there while "
                                 "g_tier_DadiDiskCacheCapacityMB is 0"}));
  EXPECT_THAT(Parsed({"g_tier_DadiDiskCachePath=/a/,g_tier_DadiDiskCacheCapacityMB=9"}).notices,
              IsEmpty());
}

TEST(MountOptions, FillsTheStructsOfEveryRoom) {
  const MountOptions options =
      Parsed({"endpoint=http://h,read_memory_mb=64", "entry_timeout=5,transport=dev",
              "verify_certificate=no,g_tier_DadiP2PPort=23456,trybind=no"});
  EXPECT_EQ(options.command.endpoint, "http://h");
  EXPECT_FALSE(options.command.try_bind);
  EXPECT_EQ(options.read.memory_mib, 64u);
  EXPECT_EQ(options.file_system.name_valid_seconds, 5u);
  EXPECT_EQ(options.session.transport, "dev");
  EXPECT_FALSE(options.origin.verify_certificate);
  EXPECT_EQ(options.later.peer_port, 23456u);
}

TEST(MountOptions, OneDeadlineAndOneNumberOfConnectionsReachEveryRoom) {
  const MountOptions options = Parsed({"request_deadline=7,max_connections=9"});
  EXPECT_EQ(options.read.deadline_seconds, 7u);
  EXPECT_EQ(options.file_system.deadline_seconds, 7u);
  EXPECT_EQ(options.session.deadline_seconds, 7u);
  EXPECT_EQ(options.read.fetch_count_max, 9u);
}

TEST(MountOptions, TheLastOfSeveralValuesCounts) {
  EXPECT_EQ(Parsed({"region=a,region=b", "region=c"}).origin.region, "c");
}

TEST(MountOptions, AcceptsWhatFstabAndMountPass) {
  const MountOptions options = Parsed(
      {"ro,_netdev,nofail,noauto,auto,user,users,owner,defaults,nosuid,nodev,async,sync",
       "x-systemd.automount,x-systemd.requires=net.target,comment=bucket,user=alice,X-mine"});
  EXPECT_THAT(options.notices, IsEmpty());
  EXPECT_EQ(options.mount_flags, 0u);
}

TEST(MountOptions, AcceptsEveryWordThatMount8SaysIsOfAllFileSystems) {
  const MountOptions options =
      Parsed({"async,atime,noatime,auto,noauto,defaults,dev,nodev,diratime,nodiratime,dirsync,exec,"
              "noexec,group,iversion,noiversion,mand,nomand,_netdev,nofail,relatime,norelatime,"
              "strictatime,nostrictatime,lazytime,nolazytime,suid,nosuid,silent,loud,owner,ro,rw,"
              "sync,user,nouser,users,X-any,x-any=1,nosymfollow,symfollow"});
  for (const Notice& notice : options.notices) EXPECT_FALSE(notice.is_warning) << notice.text;
  EXPECT_EQ(Parsed({"nosymfollow"}).mount_flags, static_cast<unsigned long>(MS_NOSYMFOLLOW));
}

TEST(MountOptions, FlagsOfTheKernelAreThoseOfTheLastWord) {
  EXPECT_EQ(Parsed({"noexec,noatime,nodiratime"}).mount_flags,
            static_cast<unsigned long>(MS_NOEXEC | MS_NOATIME | MS_NODIRATIME));
  EXPECT_EQ(Parsed({"noexec,exec,noatime,relatime,nodiratime,diratime"}).mount_flags,
            static_cast<unsigned long>(MS_RELATIME));
  EXPECT_EQ(Parsed({"strictatime,atime"}).mount_flags, 0u);
}

TEST(MountOptions, WordsThatCannotHaveTheirWayAreNotedForTheLog) {
  EXPECT_THAT(Parsed({"suid"}).notices,
              ElementsAre(Notice{false, "suid: the mount is nosuid and nodev all the same"}));
}

TEST(MountOptions, RemountIsRefusedWithWhatToDoInstead) {
  EXPECT_EQ(Refusal("remount,ro"), "remount: this is for mount -o remount, or shoal update");
}

TEST(MountOptions, AnUnknownOptionSuggestsTheNearestAndNeverRepeatsItsValue) {
  EXPECT_EQ(Refusal("g_tier_DadiMemCacheCapacity=1"),
            "unknown option 'g_tier_DadiMemCacheCapacity'; did you mean "
            "'g_tier_DadiMemCacheCapacityMB'?");
  EXPECT_EQ(Refusal("netdev"), "unknown option 'netdev'; did you mean '_netdev'?");
  EXPECT_EQ(Refusal("accesskeysecret=hunter2"),
            "unknown option 'accesskeysecret'; shoal mount --help lists them all");
}

TEST(MountOptions, SloppyMakesAnUnknownOptionAWarning) {
  EXPECT_THAT(Parsed({"endpont=x,region=r"}, /*sloppy=*/true).notices,
              ElementsAre(Notice{true, "unknown option 'endpont'; did you mean 'endpoint'?"}));
  EXPECT_FALSE(ParseMountOptions({"request_deadline=soon"}, /*sloppy=*/true));
}

TEST(MountOptions, ABadValueNamesItsOption) {
  EXPECT_EQ(Refusal("request_deadline=soon"), "request_deadline: not a whole number: 'soon'");
  EXPECT_EQ(Refusal("verify_certificate=maybe"), "verify_certificate: not true or false: 'maybe'");
  EXPECT_EQ(Refusal("transport=pigeon"), "transport: 'pigeon' is not auto, io_uring or dev");
  EXPECT_EQ(Refusal("passthrough=on"), "passthrough: 'on' is not auto or off");
  EXPECT_EQ(Refusal("open_requests=no"), "open_requests: 'no' is not on or off");
  for (const std::string name :
       {"connect_timeout", "request_deadline", "max_connections", "warmup_connections"})
    EXPECT_EQ(Refusal(name + "=0"), name + ": 0 is not from 1 to 10000");
  EXPECT_EQ(Refusal("trybind=perhaps"), "trybind: not true or false: 'perhaps'");
  EXPECT_EQ(Refusal("protocol"), "protocol: needs a value: protocol=...");
  EXPECT_EQ(Refusal("noatime=1"), "noatime: takes no value");
  EXPECT_EQ(Refusal("read_memory_mb=1"), "read_memory_mb: 1 is not from 8 to 1048576");
  EXPECT_EQ(Refusal("read_memory_mb=18446744073709551615"),
            "read_memory_mb: 18446744073709551615 is not from 8 to 1048576");
  EXPECT_EQ(Refusal("g_tier_DadiSdkGetTrafficLimit=100"),
            "g_tier_DadiSdkGetTrafficLimit: 100 is neither 0 nor 1048576 or more");
  for (const std::string size : {"0", "32768", "100000", "16777216", "18446744073709551615"})
    EXPECT_EQ(Refusal("g_tier_BlockSize=" + size),
              "g_tier_BlockSize: " + size + " is not a power of two from 65536 to 8388608");
  EXPECT_EQ(Refusal("g_server_Port=65536"), "g_server_Port: not a port from 0 to 65535");
  EXPECT_EQ(Refusal("g_tier_DadiRootClientType=3"),
            "g_tier_DadiRootClientType: 3 is not from 0 to 2");
  EXPECT_EQ(Refusal("g_tier_DadiP2PPort=0"), "g_tier_DadiP2PPort: 0 is not from 1 to 65535");
  EXPECT_EQ(Refusal("region=\"x"), "-o: a double quote does not end");
  EXPECT_EQ(Refusal("admin_address=node7"),
            "admin_address: 'node7' is not an IPv4 or IPv6 address or localhost");
}

TEST(MountOptions, ASecretInThePlaceOfAPathIsRefusedAndNotRepeated) {
  EXPECT_EQ(Refusal("passwd_file=LTAI4:hunter2"),
            "passwd_file: not an absolute path, which begins with /");
  EXPECT_THAT(Refusal("g_oss_STSFile=hunter2"), Not(HasSubstr("hunter2")));
}

TEST(MountOptions, AskingForWhatIsNotInThisBuildIsWarnedOf) {
  EXPECT_THAT(
      Parsed({"g_tier_DadiIsDistributed=true,g_tier_DadiRootClientType=2"}).notices,
      ElementsAre(Notice{true,
                         "g_tier_DadiIsDistributed: not in this build; the mount runs without "
                         "it"},
                  Notice{true,
                         "g_tier_DadiRootClientType: not in this build; the mount runs without "
                         "it"}));
}

TEST(MountOptions, SwitchingOffWhatIsNotInThisBuildIsFine) {
  EXPECT_THAT(Parsed({"g_tier_EnableClusterCache=false,g_tier_DadiIsDistributed=false",
                      "g_tier_DadiMemCacheCapacityMB=0,g_server_Port=0,g_tier_DadiAddr="})
                  .notices,
              IsEmpty());
}

TEST(MountOptions, EveryParameterOfTheSpecificationIsDeclaredWithItsDefault) {
  const std::map<std::string, std::string> specified = {
      {"protocol", "oss"},
      {"passwd_file", ""},
      {"g_oss_STSFile", ""},
      {"trybind", "true"},
      {"g_tier_EnableClusterCache", "true"},
      {"g_tier_DadiIsDistributed", "true"},
      {"g_tier_DadiAddr", ""},
      {"g_tier_DadiRootClientType", "0"},
      {"g_tier_DadiMemCacheCapacityMB", "0"},
      {"g_tier_DadiDiskCacheCapacityMB", "0"},
      {"g_tier_DadiDiskCachePath", ""},
      {"g_tier_DadiP2PPort", "17980"},
      {"g_tier_DadiSdkGetTrafficLimit", "3221225472"},
      {"g_tier_DadiCachePageSizeKB", "16"},
      {"g_metadata_CacheEnable", "false"},
      {"g_readdircache_Enable", "true"},
      {"g_readdircache_MaxCount", "20000"},
      {"g_readdircache_MaxSize", "104857600"},
      {"g_readdircache_RemainTime", "3600"},
      {"g_server_Port", "0"},
  };
  const auto declared = DefaultsByName();
  for (const auto& [name, value] : specified) {
    ASSERT_TRUE(declared.contains(name)) << name;
    EXPECT_EQ(declared.at(name), value) << name;
  }
}

TEST(OptionReference, HelpAndMarkdownShowEveryOptionWithItsDefault) {
  const std::string help = OptionsAsHelp();
  const std::string markdown = OptionsAsMarkdown();
  for (const auto& [name, value] : DefaultsByName()) {
    EXPECT_THAT(help, HasSubstr("\n  " + name + "\n"));
    EXPECT_THAT(markdown,
                HasSubstr("| `" + name + "` | " + (value.empty() ? "" : "`" + value + "`") + " |"));
  }
  EXPECT_THAT(help, HasSubstr("_netdev"));
  EXPECT_THAT(markdown, HasSubstr("| `request_deadline` | `30` | s |"));
  EXPECT_THAT(help, HasSubstr("[30 s]"));
}

}  // namespace
}  // namespace shoal
