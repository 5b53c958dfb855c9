#include "testing/origin_http_client.h"

#include <algorithm>
#include <cctype>
#include <memory>

namespace shoal::embedded {
namespace {

constexpr long kTimeoutSeconds = 60;

size_t OnBody(char* data, size_t size, size_t count, void* answer) {
  static_cast<HttpAnswer*>(answer)->body.append(data, size * count);
  return size * count;
}

size_t OnHeader(char* data, size_t size, size_t count, void* answer) {
  std::string line(data, size * count);
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  const size_t colon = line.find(':');
  if (colon == std::string::npos) return size * count;
  std::string name = line.substr(0, colon);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t value = line.find_first_not_of(' ', colon + 1);
  static_cast<HttpAnswer*>(answer)->headers[name] =
      value == std::string::npos ? "" : line.substr(value);
  return size * count;
}

}  // namespace

OriginHttpClient::OriginHttpClient(std::string url, AccessKeys keys, const Clock& clock,
                                   SignatureScheme scheme)
    : url_(std::move(url)),
      keys_(std::move(keys)),
      clock_(clock),
      scheme_(scheme),
      curl_(curl_easy_init()) {}

OriginHttpClient::~OriginHttpClient() {
  curl_easy_cleanup(curl_);
}

HttpAnswer OriginHttpClient::Ask(const std::string& method, const std::string& bucket,
                                 const std::string& key, const Query& query, const Headers& headers,
                                 std::string_view body) {
  SignableRequest request;
  request.method = method;
  request.bucket = bucket;
  request.key = key;
  request.encoded_path = "/" + bucket + "/" + PercentEncode(key, true);
  request.query = query;
  request.headers = headers;
  request.headers["host"] = url_.substr(url_.find("//") + 2);
  // libcurl would add one of its own, after the signature.
  request.headers.emplace("content-type", "application/octet-stream");
  Sign(scheme_, request, keys_, scheme_ == SignatureScheme::kAwsV4 ? "us-east-1" : "cn-hangzhou",
       clock_.UnixSeconds());
  std::string target = request.encoded_path;
  char separator = '?';
  for (const auto& [name, value] : query) {
    target.append(1, separator)
        .append(PercentEncode(name, false))
        .append("=")
        .append(PercentEncode(value, false));
    separator = '&';
  }
  return AskRaw(method, target, request.headers, body);
}

HttpAnswer OriginHttpClient::AskRaw(const std::string& method, const std::string& target,
                                    const Headers& headers, std::string_view body) {
  HttpAnswer answer;
  curl_slist* lines = nullptr;
  for (const auto& [name, value] : headers) {
    std::string line = name;
    // libcurl's way to send a header without a value.
    line.append(value.empty() ? ";" : ": ").append(value);
    lines = curl_slist_append(lines, line.c_str());
  }
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> owner(lines,
                                                                          &curl_slist_free_all);
  curl_easy_reset(curl_);
  curl_easy_setopt(curl_, CURLOPT_URL, (url_ + target).c_str());
  curl_easy_setopt(curl_, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl_, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl_, CURLOPT_TIMEOUT, kTimeoutSeconds);
  curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, lines);
  curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(curl_, CURLOPT_HEADERDATA, &answer);
  if (method == "HEAD") curl_easy_setopt(curl_, CURLOPT_NOBODY, 1L);
  if (method == "PUT" || method == "POST") {
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, body.data());
  }
  curl_easy_setopt(curl_, CURLOPT_CUSTOMREQUEST, method == "HEAD" ? nullptr : method.c_str());
  answer.curl_code = curl_easy_perform(curl_);
  curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

}  // namespace shoal::embedded
