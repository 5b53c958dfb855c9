#include "net/http_answer_reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "net/chunked_input.h"
#include "net/header_name.h"

namespace shoal {
namespace {

namespace http = boost::beast::http;

constexpr uint32_t kHeadBytesMax = 64 * kKiB;
// A head, and little of what follows it: that is copied.
constexpr size_t kHeadPieceBytes = 4 * kKiB;
constexpr size_t kBodyPieceBytes = 64 * kKiB;
// Of a head, or of what describes a chunk, whose end has not come.
constexpr size_t kHeldBytesMax = kHeadBytesMax + kBodyPieceBytes;
constexpr int kInterimCountMax = 16;

auto NotHttp(const boost::beast::error_code& fault) {
  if (fault == http::error::header_limit)
    return Fail(Errc::kUnreachable, "the answer's head is too long");
  return Fail(Errc::kUnreachable, "the answer is not HTTP: " + fault.message());
}

}  // namespace

// --- The parser

void HttpAnswerParser::on_response_impl(int status, Text, int, Fault& fault) {
  if (status < 100) fault = http::error::bad_status;  // Beast takes any three digits
  head_.status = status;
}

void HttpAnswerParser::on_field_impl(Field, Text name, Text value, Fault&) {
  head_.headers.insert_or_assign(HeaderName({name.data(), name.size()}), std::string(value));
}

void HttpAnswerParser::on_header_impl(Fault& fault) {
  if (is_interim()) return;
  sink_ = receiver_.Begin(std::move(head_));
  head_.status = 200;  // no interim one
  stopped_ = sink_ == nullptr;
  if (stopped_) fault = http::error::end_of_stream;
}

std::size_t HttpAnswerParser::on_body_impl(Text bytes, Fault& fault) {
  stopped_ = !sink_->Append(std::as_bytes(std::span(bytes.data(), bytes.size())));
  if (stopped_) fault = http::error::end_of_stream;
  return bytes.size();
}

std::size_t HttpAnswerParser::on_chunk_body_impl(std::uint64_t, Text bytes, Fault& fault) {
  return on_body_impl(bytes, fault);
}

// --- The reader

void HttpAnswerReader::BeginParser() {
  parser_.emplace(receiver_);
  parser_->header_limit(kHeadBytesMax);
  parser_->body_limit(boost::none);
  parser_->skip(!has_body_);
}

std::span<std::byte> HttpAnswerReader::Room() {
  receivers_room_ = {};
  ByteSink* const sink = parser_->sink();
  if (sink != nullptr && !parser_->chunked()) {
    const uint64_t missing_bytes = parser_->content_length_remaining().value_or(0);
    receivers_room_ = sink->Room();
    receivers_room_ =
        receivers_room_.first(std::min<uint64_t>(receivers_room_.size(), missing_bytes));
    if (!receivers_room_.empty()) return receivers_room_;
  }
  const auto piece = buffer_.prepare(sink == nullptr ? kHeadPieceBytes : kBodyPieceBytes);
  return {static_cast<std::byte*>(piece.data()), piece.size()};
}

Result<> HttpAnswerReader::Took(size_t count) {
  has_begun_ = true;
  if (!receivers_room_.empty()) {
    const Result<size_t> taken = Parse(receivers_room_.first(count));
    return taken ? Result<>() : tl::unexpected(taken.error());
  }
  buffer_.commit(count);
  while (buffer_.size() > 0 && !parser_->is_done() && !AwaitsMore(*parser_, buffer_.size())) {
    const auto held = buffer_.data();
    ASSIGN_OR_RETURN(const size_t taken,
                     Parse({static_cast<const std::byte*>(held.data()), held.size()}));
    buffer_.consume(taken);
    if (taken == 0 && buffer_.size() < kHeldBytesMax) return {};  // it needs more
    if (taken == 0)
      return Fail(Errc::kUnreachable, "the answer is not HTTP: a line without an end");
    if (!parser_->is_done() || !parser_->is_interim()) continue;
    // The answer itself is still to come.
    if (++interim_count_ > kInterimCountMax)
      return Fail(Errc::kUnreachable, "the answer is not HTTP: it does not begin");
    BeginParser();
  }
  return {};
}

Result<size_t> HttpAnswerReader::Parse(std::span<const std::byte> bytes) {
  boost::beast::error_code fault;
  const size_t taken = parser_->put({bytes.data(), bytes.size()}, fault);
  if (parser_->stopped()) return Fail(Errc::kInterrupted, "the receiver wanted no more");
  if (fault && fault != http::error::need_more) return NotHttp(fault);
  return taken;
}

Result<> HttpAnswerReader::Ended() {
  boost::beast::error_code fault = http::error::end_of_stream;
  if (parser_->got_some()) parser_->put_eof(fault);
  if (fault) return Fail(Errc::kUnreachable, "the connection ended before the answer did");
  return {};
}

}  // namespace shoal
