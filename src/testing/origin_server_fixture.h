// What tests of the embedded origin share: one with a bucket, over a directory of its own, and a
// client that signs.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "origin/text_values.h"
#include "testing/fake_clock.h"
#include "testing/origin_http_client.h"
#include "testing/origin_server.h"

namespace shoal {

class OriginServerFixture : public testing::Test {
 protected:
  OriginServerFixture() {
    std::string name = (std::filesystem::temp_directory_path() / "shoal-origin-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    options_.root = folder_ / "root";
    options_.buckets = {"bucket"};
    std::filesystem::create_directory(options_.root);
  }
  ~OriginServerFixture() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Start() {
    server_.reset();
    auto started = OriginServer::Start(options_, clock_);
    ASSERT_TRUE(started) << started.error().detail;
    server_ = *std::move(started);
    client_ = std::make_unique<embedded::OriginHttpClient>(server_->url(), keys_, clock_);
  }
  embedded::HttpAnswer Ask(const std::string& method, const std::string& key,
                           const embedded::OriginHttpClient::Query& query = {},
                           const embedded::OriginHttpClient::Headers& headers = {},
                           std::string_view body = {}) {
    return client_->Ask(method, "bucket", key, query, headers, body);
  }
  embedded::HttpAnswer AskAs(const AccessKeys& keys, SignatureScheme scheme,
                             const std::string& method, const std::string& key) {
    return embedded::OriginHttpClient(server_->url(), keys, clock_, scheme)
        .Ask(method, "bucket", key);
  }
  std::filesystem::path InBucket(const std::string& path) const {
    return std::filesystem::path(options_.root) / "bucket" / path;
  }
  void WriteOutside(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(InBucket(path).parent_path());
    std::ofstream(InBucket(path)) << text;
  }
  // Keys, then common prefixes, of all pages.
  std::vector<std::string> List(embedded::OriginHttpClient::Query query, size_t page_size) {
    query.emplace_back("max-keys", std::to_string(page_size));
    query.emplace_back("encoding-type", "url");
    query.emplace_back("marker", "");
    std::vector<std::string> listed;
    while (true) {
      const embedded::HttpAnswer answer = Ask("GET", "", query);
      EXPECT_EQ(answer.status, 200) << answer.body;
      pugi::xml_document document;
      EXPECT_TRUE(document.load_string(answer.body.c_str()));
      const pugi::xml_node root = document.child("ListBucketResult");
      const auto decoded = [](const char* text) { return *PercentDecode(text, false); };
      for (const auto node : root.children("Contents"))
        listed.push_back(decoded(node.child_value("Key")));
      for (const auto node : root.children("CommonPrefixes"))
        listed.push_back(decoded(node.child_value("Prefix")));
      if (!root.child("IsTruncated").text().as_bool()) return listed;
      query.back().second = decoded(root.child_value("NextMarker"));
    }
  }
  static std::string UploadId(const embedded::HttpAnswer& answer) {
    pugi::xml_document document;
    document.load_string(answer.body.c_str());
    return document.child("InitiateMultipartUploadResult").child_value("UploadId");
  }
  static std::string Code(const embedded::HttpAnswer& answer) {
    pugi::xml_document document;
    document.load_string(answer.body.c_str());
    return document.child("Error").child_value("Code");
  }

  std::filesystem::path folder_;
  FakeClock clock_;
  OriginServerOptions options_;
  AccessKeys keys_{OriginServer::kKeyId, OriginServer::kKeySecret, "", 0};
  std::unique_ptr<OriginServer> server_;
  std::unique_ptr<embedded::OriginHttpClient> client_;
};

}  // namespace shoal
