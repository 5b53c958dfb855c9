// HttpAnswerReader: takes the bytes of one answer as they come from a connection, and gives them
// to a receiver as far as Beast's parser says that they are HTTP/1.x.
//
// Used by one thread, in turns: Room, receive into it, Took; until done.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "net/http_message.h"

namespace shoal {

// What the parser finds goes straight to the receiver.
class HttpAnswerParser final : public boost::beast::http::basic_parser<false> {
 public:
  explicit HttpAnswerParser(HttpReceiver& receiver) : receiver_(receiver) {}

  [[nodiscard]] bool is_interim() const { return head_.status < 200; }  // "100 Continue"
  [[nodiscard]] bool stopped() const { return stopped_; }  // the receiver wanted no more
  // Null before the head is whole.
  [[nodiscard]] ByteSink* sink() const { return sink_; }

 private:
  using Field = boost::beast::http::field;
  using Verb = boost::beast::http::verb;
  using Text = boost::beast::string_view;
  using Fault = boost::beast::error_code;

  void on_request_impl(Verb, Text, Text, int, Fault&) override {}
  void on_response_impl(int status, Text, int, Fault& fault) override;
  void on_field_impl(Field, Text name, Text value, Fault&) override;
  void on_header_impl(Fault& fault) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Fault&) override {}
  std::size_t on_body_impl(Text bytes, Fault& fault) override;
  void on_chunk_header_impl(std::uint64_t, Text, Fault&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text bytes, Fault& fault) override;
  void on_finish_impl(Fault&) override {}

  HttpReceiver& receiver_;
  HttpHead head_;
  ByteSink* sink_ = nullptr;
  bool stopped_ = false;
};

class HttpAnswerReader {
 public:
  // `has_body` is false of the answer to a HEAD.
  HttpAnswerReader(HttpReceiver& receiver, bool has_body)
      : receiver_(receiver), has_body_(has_body) {
    BeginParser();
  }
  HttpAnswerReader(const HttpAnswerReader&) = delete;
  HttpAnswerReader& operator=(const HttpAnswerReader&) = delete;

  // Where to receive what comes next: never empty, and where the receiver says if that can be.
  std::span<std::byte> Room();
  // So many bytes came there. kUnreachable: they are not HTTP; kInterrupted: the receiver wanted
  // no more.
  Result<> Took(size_t count);
  // The other side has ended the connection. kUnreachable: too early.
  Result<> Ended();

  [[nodiscard]] bool done() const { return parser_->is_done(); }
  // Something of an answer came.
  [[nodiscard]] bool has_begun() const { return has_begun_; }
  // Once done: whether the connection may be used again.
  [[nodiscard]] bool keeps_connection() const {
    return parser_->keep_alive() && buffer_.size() == 0;
  }

 private:
  void BeginParser();
  // Returns how many bytes it took.
  Result<size_t> Parse(std::span<const std::byte> bytes);

  HttpReceiver& receiver_;
  const bool has_body_;
  std::optional<HttpAnswerParser> parser_;  // one takes no more than an answer
  boost::beast::flat_buffer buffer_;        // what was not received in its place
  std::span<std::byte> receivers_room_;     // that Room gave; empty: it is in the buffer
  bool has_begun_ = false;
  int interim_count_ = 0;
};

}  // namespace shoal
