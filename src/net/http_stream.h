// The bytes of one client's connection, with or without TLS.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>
#include <functional>
#include <memory>

namespace shoal {

// Used from the I/O thread only. At most one Read and one Write at a time; each calls `done`
// once, later. The buffers and the stream stay until then.
class HttpStream {
 public:
  using Done = std::function<void(boost::system::error_code, size_t)>;
  using Buffers = std::array<boost::asio::const_buffer, 2>;

  virtual ~HttpStream() = default;
  virtual void Handshake(Done done) = 0;
  virtual void Read(boost::asio::mutable_buffer buffer, Done done) = 0;  // some bytes
  virtual void Write(Buffers buffers, Done done) = 0;                    // all bytes
  virtual boost::asio::ip::tcp::socket& socket() = 0;
};

// `tls` outlives the stream; null: plain TCP.
std::unique_ptr<HttpStream> MakeHttpStream(boost::asio::ip::tcp::socket socket,
                                           boost::asio::ssl::context* tls);

}  // namespace shoal
