// Fills an HttpCall from bytes, as far as Beast's parser says that they are HTTP/1.x.
//
// Beyond Beast's own rules it refuses what the two ends of a connection could read in two
// ways or what only costs memory: a target that is not a path, a request of HTTP/1.1
// without Host, more fields than the bound.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstddef>
#include <cstdint>

#include "net/http_call.h"

namespace shoal {

struct HttpCallBounds {
  uint32_t head_bytes_max = 512 << 10;
  uint64_t body_bytes_max = 1 << 20;
  // A head of nothing but short fields takes a hundred times its size in memory.
  size_t field_count_max = 100;
};

class HttpCallParser final : public boost::beast::http::basic_parser<true> {
 public:
  explicit HttpCallParser(const HttpCallBounds& bounds);

  // What has come so far; whole once is_done().
  HttpCall& call() { return call_; }
  // Bytes in it, as a measure of the memory that it takes.
  [[nodiscard]] size_t size_bytes() const { return size_bytes_; }

 private:
  using Field = boost::beast::http::field;
  using Verb = boost::beast::http::verb;
  using Text = boost::beast::string_view;
  using Fault = boost::beast::error_code;

  void on_request_impl(Verb, Text method, Text target, int version, Fault& fault) override;
  void on_response_impl(int, Text, int, Fault&) override {}
  void on_field_impl(Field, Text name, Text value, Fault& fault) override;
  void on_header_impl(Fault& fault) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Fault&) override {}
  std::size_t on_body_impl(Text bytes, Fault&) override;
  void on_chunk_header_impl(std::uint64_t, Text, Fault&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text bytes, Fault&) override;
  void on_finish_impl(Fault&) override {}

  const size_t field_count_max_;
  HttpCall call_;
  size_t field_count_ = 0;
  size_t size_bytes_ = 0;
  int http_version_ = 11;
};

// The status with which a server answers what the parser refused.
int StatusOfParserFault(const boost::beast::error_code& fault);

}  // namespace shoal
