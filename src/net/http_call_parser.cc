#include "net/http_call_parser.h"

#include "net/header_name.h"

namespace shoal {
namespace {

namespace http = boost::beast::http;

}  // namespace

HttpCallParser::HttpCallParser(const HttpCallBounds& bounds)
    : field_count_max_(bounds.field_count_max) {
  header_limit(bounds.head_bytes_max);
  body_limit(bounds.body_bytes_max);
  eager(true);
}

void HttpCallParser::on_request_impl(Verb, Text method, Text target, int version, Fault& fault) {
  // The absolute form names a host of its own, which could be another than Host's; only
  // proxies are spoken to like that.
  if (!target.starts_with('/')) {
    fault = http::error::bad_target;
    return;
  }
  call_.method.assign(method.data(), method.size());
  call_.target.assign(target.data(), target.size());
  size_bytes_ += method.size() + target.size();
  http_version_ = version;
}

void HttpCallParser::on_field_impl(Field, Text name, Text value, Fault& fault) {
  if (++field_count_ > field_count_max_) {
    fault = http::error::header_limit;
    return;
  }
  auto [field, is_new] = call_.headers.try_emplace(HeaderName({name.data(), name.size()}));
  if (!is_new) field->second += ", ";
  field->second.append(value.data(), value.size());
  size_bytes_ += name.size() + value.size();
}

void HttpCallParser::on_header_impl(Fault& fault) {
  if (http_version_ >= 11 && !call_.headers.contains("host")) fault = http::error::bad_field;
}

std::size_t HttpCallParser::on_body_impl(Text bytes, Fault&) {
  call_.body.append(bytes.data(), bytes.size());
  size_bytes_ += bytes.size();
  return bytes.size();
}

std::size_t HttpCallParser::on_chunk_body_impl(std::uint64_t, Text bytes, Fault& fault) {
  return on_body_impl(bytes, fault);
}

int StatusOfParserFault(const boost::beast::error_code& fault) {
  if (fault == http::error::header_limit) return 431;
  if (fault == http::error::body_limit) return 413;
  return 400;
}

}  // namespace shoal
