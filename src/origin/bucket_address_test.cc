#include "origin/bucket_address.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

OriginOptions Options(std::string endpoint, std::string protocol = "oss") {
  OriginOptions options;
  options.bucket = "data";
  options.endpoint = std::move(endpoint);
  options.protocol = std::move(protocol);
  return options;
}

TEST(BucketAddress, TheBucketIsInTheHostNameByDefault) {
  EXPECT_EQ(AddressOf(Options("https://oss-cn-beijing.aliyuncs.com/")).value(),
            (BucketAddress{"data", "https://data.oss-cn-beijing.aliyuncs.com",
                           "data.oss-cn-beijing.aliyuncs.com", "/", "cn-beijing"}));
}

TEST(BucketAddress, TheBucketIsInThePathWhenTheEndpointIsAnAddress) {
  EXPECT_EQ(
      AddressOf(Options("http://127.0.0.1:9000")).value(),
      (BucketAddress{"data", "http://127.0.0.1:9000", "127.0.0.1:9000", "/data/", "cn-hangzhou"}));
  EXPECT_EQ(AddressOf(Options("http://[::1]:9000", "s3")).value(),
            (BucketAddress{"data", "http://[::1]:9000", "[::1]:9000", "/data/", "us-east-1"}));
  EXPECT_EQ(AddressOf(Options("localhost")).value().origin, "https://localhost");
}

TEST(BucketAddress, TheBucketIsInThePathWhenNoCertificateFitsItsHostName) {
  OriginOptions options = Options("https://s3.eu-west-1.amazonaws.com", "s3");
  options.bucket = "my.bucket";
  EXPECT_EQ(AddressOf(options).value(),
            (BucketAddress{"my.bucket", "https://s3.eu-west-1.amazonaws.com",
                           "s3.eu-west-1.amazonaws.com", "/my.bucket/", "eu-west-1"}));
  options.addressing = "virtual";
  EXPECT_EQ(AddressOf(options).value().host, "my.bucket.s3.eu-west-1.amazonaws.com");
}

TEST(BucketAddress, AddressingCanBeChosen) {
  OriginOptions options = Options("http://127.0.0.1:9000");
  options.addressing = "virtual";
  EXPECT_EQ(AddressOf(options).value().origin, "http://data.127.0.0.1:9000");
  options = Options("http://store.example");
  options.addressing = "path";
  EXPECT_EQ(AddressOf(options).value().base_path, "/data/");
}

TEST(BucketAddress, TheRegionComesFromTheEndpoint) {
  const auto region = [](const char* endpoint, const char* protocol) {
    return AddressOf(Options(endpoint, protocol)).value().region;
  };
  EXPECT_EQ(region("oss-cn-shanghai-internal.aliyuncs.com", "oss"), "cn-shanghai");
  EXPECT_EQ(region("vpc100-oss-cn-beijing.aliyuncs.com", "oss"), "cn-beijing");
  EXPECT_EQ(region("cn-beijing.oss.aliyuncs.com", "oss"), "cn-beijing");
  EXPECT_EQ(region("cn-beijing-internal.oss.aliyuncs.com", "oss"), "cn-beijing");
  EXPECT_EQ(region("oss-accelerate.aliyuncs.com", "oss"), "cn-hangzhou");
  EXPECT_EQ(region("oss-accelerate-overseas.aliyuncs.com", "oss"), "cn-hangzhou");
  EXPECT_EQ(region("store.example", "oss"), "cn-hangzhou");
  EXPECT_EQ(region("s3.eu-west-1.amazonaws.com", "s3"), "eu-west-1");
  EXPECT_EQ(region("s3.dualstack.eu-west-1.amazonaws.com", "s3"), "eu-west-1");
  EXPECT_EQ(region("s3.cn-north-1.amazonaws.com.cn", "s3"), "cn-north-1");
  EXPECT_EQ(region("s3-us-west-2.amazonaws.com", "s3"), "us-west-2");
  EXPECT_EQ(region("s3-fips.us-east-2.amazonaws.com", "s3"), "us-east-2");
  EXPECT_EQ(region("s3-fips.dualstack.us-west-1.amazonaws.com", "s3"), "us-west-1");
  EXPECT_EQ(region("bucket.vpce-1a2b-cd.s3.eu-west-3.vpce.amazonaws.com", "s3"), "eu-west-3");
  EXPECT_EQ(region("s3-accelerate.amazonaws.com", "s3"), "us-east-1");
  EXPECT_EQ(region("s3-accelerate.dualstack.amazonaws.com", "s3"), "us-east-1");
  EXPECT_EQ(region("s3.amazonaws.com", "s3"), "us-east-1");
  EXPECT_EQ(region("minio.example:9000", "s3"), "us-east-1");
  OriginOptions options = Options("store.example");
  options.region = "eu-central-1";
  EXPECT_EQ(AddressOf(options).value().region, "eu-central-1");
}

TEST(BucketAddress, RefusesWhatIsNotAnEndpointOrABucket) {
  for (const char* endpoint : {"", "ftp://host", "http://", "http://user:password@host",
                               "http://host/path", "http://host?x", "http://host:port",
                               "http://host:", "http://[::1", "http://a b", "http://host\r\nx"}) {
    const auto address = AddressOf(Options(endpoint));
    ASSERT_FALSE(address) << endpoint;
    EXPECT_EQ(address.error().code, Errc::kInvalid) << endpoint;
  }
  for (const char* bucket : {"", "a/b", "a?b", "a b"}) {
    OriginOptions options = Options("http://host");
    options.bucket = bucket;
    EXPECT_FALSE(AddressOf(options)) << bucket;
  }
  OriginOptions options = Options("http://host");
  options.addressing = "sideways";
  EXPECT_EQ(AddressOf(options).error(),
            (Error{Errc::kInvalid, "addressing 'sideways' is not auto, virtual or path"}));
}

}  // namespace
}  // namespace shoal
