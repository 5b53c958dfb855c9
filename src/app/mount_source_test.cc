#include "app/mount_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::HasSubstr;

MountSource Parsed(std::string_view source, std::string_view endpoint = "",
                   std::string_view protocol = "oss") {
  auto result = ParseMountSource(source, endpoint, protocol);
  EXPECT_TRUE(result) << (result ? "" : result.error().detail);
  return result ? *result : MountSource{};
}

std::string Refusal(std::string_view source, std::string_view endpoint = "",
                    std::string_view protocol = "oss") {
  auto result = ParseMountSource(source, endpoint, protocol);
  if (result) return "accepted: " + result->bucket + " at " + result->endpoint;
  EXPECT_EQ(result.error().code, Errc::kInvalid);
  return result.error().detail;
}

TEST(MountSource, TakesBucketEndpointAndPrefixApart) {
  EXPECT_EQ(Parsed("your-bucket.oss-cn-hangzhou.aliyuncs.com:/"),
            (MountSource{"your-bucket", "https://oss-cn-hangzhou.aliyuncs.com", false, ""}));
  EXPECT_EQ(Parsed("data.oss.example.com:8443:/models/llama"),
            (MountSource{"data", "https://oss.example.com:8443", false, "models/llama/"}));
}

TEST(MountSource, TakesTheEndpointFromTheOption) {
  EXPECT_EQ(Parsed("data:/a/", "http://oss-cn-hangzhou-internal.aliyuncs.com"),
            (MountSource{"data", "http://oss-cn-hangzhou-internal.aliyuncs.com", false, "a/"}));
  EXPECT_EQ(Parsed("data:/", "https://minio:9000/"),
            (MountSource{"data", "https://minio:9000", false, ""}));
  EXPECT_EQ(Parsed("data:/", "minio:9000"), (MountSource{"data", "https://minio:9000", false, ""}));
}

TEST(MountSource, AnIpAddressOrLocalhostMeansPathStyle) {
  EXPECT_EQ(Parsed("demo.127.0.0.1:9000:/"),
            (MountSource{"demo", "https://127.0.0.1:9000", true, ""}));
  EXPECT_EQ(Parsed("demo.[::1]:9000:/a"), (MountSource{"demo", "https://[::1]:9000", true, "a/"}));
  EXPECT_EQ(Parsed("demo:/", "http://127.0.0.1:9000"),
            (MountSource{"demo", "http://127.0.0.1:9000", true, ""}));
  EXPECT_EQ(Parsed("demo:/", "http://[2001:db8::7]"),
            (MountSource{"demo", "http://[2001:db8::7]", true, ""}));
  EXPECT_EQ(Parsed("demo:/", "http://localhost:9000"),
            (MountSource{"demo", "http://localhost:9000", true, ""}));
  EXPECT_FALSE(Parsed("demo:/", "http://10.example.com").path_style);
}

TEST(MountSource, TheSourceMayRepeatTheHostOfTheEndpointOption) {
  const MountSource wanted{"data", "http://oss-cn-hangzhou.aliyuncs.com", false, "x/"};
  EXPECT_EQ(Parsed("data.oss-cn-hangzhou.aliyuncs.com:/x", "http://oss-cn-hangzhou.aliyuncs.com"),
            wanted);
  EXPECT_EQ(Parsed("data.127.0.0.1:9000:/", "http://127.0.0.1:9000"),
            (MountSource{"data", "http://127.0.0.1:9000", true, ""}));
  EXPECT_THAT(Refusal("data.oss-cn-beijing.aliyuncs.com:/", "http://oss-cn-hangzhou.aliyuncs.com"),
              HasSubstr("it names another endpoint than -o endpoint= does"));
}

TEST(MountSource, ABucketOfS3MayHaveDotsWhenTheEndpointIsAnOption) {
  EXPECT_EQ(Parsed("my.dotted.bucket:/", "https://s3.eu-central-1.amazonaws.com", "s3").bucket,
            "my.dotted.bucket");
  EXPECT_THAT(Refusal("my..bucket:/", "https://s3.amazonaws.com", "s3"), HasSubstr("two dots"));
  EXPECT_THAT(Refusal("192.168.1.1:/", "https://s3.amazonaws.com", "s3"), HasSubstr("IP address"));
}

TEST(MountSource, PrefixIsUsedAsTypedAndEndsWithASlash) {
  EXPECT_EQ(Parsed("data.e.com:/数据/a b:/c").prefix, "数据/a b:/c/");
  EXPECT_EQ(Parsed("data.e.com:/a/b/").prefix, "a/b/");
  EXPECT_EQ(Parsed("data.e.com:/...").prefix, ".../");
  for (const char* source : {"data.e.com:/a//b", "data.e.com:/./a", "data.e.com:/a/..",
                             "data.e.com:/../", "data.e.com:/a/."})
    EXPECT_THAT(Refusal(source), HasSubstr("PREFIX has an empty, '.' or '..' component"));
  EXPECT_THAT(Refusal("data.e.com:/" + std::string(1023, 'x')), HasSubstr("longer than a key"));
  EXPECT_EQ(Parsed("data.e.com:/" + std::string(1022, 'x')).prefix.size(), 1023u);
}

TEST(MountSource, EveryRefusalShowsTheRightForm) {
  EXPECT_EQ(Refusal("data.e.com"),
            "source 'data.e.com': it has no ':/'; write BUCKET.ENDPOINT:/PREFIX, for example "
            "data.oss-cn-hangzhou.aliyuncs.com:/, or BUCKET:/PREFIX with -o endpoint=URL");
  EXPECT_EQ(Refusal("data:/", "ftp://e.com"),
            "endpoint: it begins with neither http:// nor https://; write "
            "endpoint=https://HOST[:PORT] or endpoint=http://HOST[:PORT]");
}

TEST(MountSource, WhatIsMissingOrMangledIsNamed) {
  EXPECT_THAT(Refusal(""), HasSubstr("it has no ':/'"));
  EXPECT_THAT(Refusal("https://data.e.com/"), HasSubstr("it is not a URL"));
  EXPECT_THAT(Refusal("oss://data/"), HasSubstr("it is not a URL"));
  EXPECT_THAT(Refusal("data:/"), HasSubstr("it names no endpoint"));
  EXPECT_THAT(Refusal(".e.com:/"), HasSubstr("the bucket's name is missing"));
  EXPECT_THAT(Refusal("data.:/"), HasSubstr("the endpoint's host is missing"));
  EXPECT_THAT(Refusal("data.e.com:0:/"), HasSubstr("port is not a number"));
  EXPECT_THAT(Refusal("data.e.com:65536:/"), HasSubstr("port is not a number"));
  EXPECT_THAT(Refusal("data.e.com:9000x:/"), HasSubstr("port is not a number"));
  EXPECT_THAT(Refusal("data.::1:/"), HasSubstr("needs brackets"));
  EXPECT_THAT(Refusal("data.[::1:/"), HasSubstr("'[' without ']'"));
  EXPECT_THAT(Refusal("data.[::g]:/"), HasSubstr("not an IPv6 address"));
  EXPECT_THAT(Refusal("data.e..com:/"), HasSubstr("not a host name"));
  EXPECT_THAT(Refusal("data.e com:/"), HasSubstr("not a host name"));
  EXPECT_THAT(Refusal("data:/", "http://e.com/path"), HasSubstr("nothing may follow"));
  EXPECT_THAT(Refusal("data:/", "http://"), HasSubstr("host is missing"));
}

TEST(MountSource, ABucketNameThatCannotExistIsRefused) {
  EXPECT_THAT(Refusal("ab.e.com:/"), HasSubstr("bucket name 'ab' has 2 characters, not 3 to 63"));
  EXPECT_THAT(Refusal(std::string(64, 'a') + ".e.com:/"), HasSubstr("has 64 characters"));
  EXPECT_THAT(Refusal("Data.e.com:/"), HasSubstr("lower-case letters, digits and hyphens"));
  EXPECT_THAT(Refusal("da_ta.e.com:/"), HasSubstr("lower-case letters, digits and hyphens"));
  EXPECT_THAT(Refusal("-data.e.com:/"), HasSubstr("does not begin and end with"));
  EXPECT_THAT(Refusal("data-.e.com:/"), HasSubstr("does not begin and end with"));
}

TEST(MountSource, ARefusalRepeatsNeitherPasswordsNorControlBytes) {
  const std::string refusal = Refusal("data:/", "http://id:secret@e.com");
  EXPECT_THAT(refusal, HasSubstr("it holds a user name"));
  EXPECT_THAT(refusal, testing::Not(HasSubstr("secret")));
  EXPECT_THAT(Refusal("da\x1b[2Jta"), HasSubstr("'da\\x1B[2Jta'"));
}

}  // namespace
}  // namespace shoal
