// For tests: what is tried of an HttpClient, and a receiver that keeps an answer.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "net/http_client.h"
#include "testing/proxy_environment.h"

namespace shoal {

class KeepAnswer final : public HttpReceiver {
 public:
  ByteSink* Begin(HttpHead answer) override {
    head = std::move(answer);
    return wants_body ? &body : nullptr;
  }
  bool wants_body = true;
  HttpHead head;
  DocumentSink body{kMiB};
};

class HttpClientTest : public testing::Test {
 protected:
  std::unique_ptr<HttpClient> Client(const HttpClientOptions& options = {}) {
    return HttpClient::Create(options, clock_).value();
  }
  [[nodiscard]] Deadline Soon() const { return Deadline::After(clock_, std::chrono::seconds(20)); }

  ProxyEnvironment environment_;
  SystemClock clock_;
  KeepAnswer kept_;
};

}  // namespace shoal
