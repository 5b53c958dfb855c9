#include "net/http_stream.h"

#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace shoal {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class PlainStream final : public HttpStream {
 public:
  explicit PlainStream(tcp::socket socket) : socket_(std::move(socket)) {}

  void Handshake(Done done) override {
    socket_.async_read_some(asio::mutable_buffer(), std::move(done));  // of nothing: ends, later
  }
  void Read(asio::mutable_buffer buffer, Done done) override {
    socket_.async_read_some(buffer, std::move(done));
  }
  void Write(Buffers buffers, Done done) override {
    asio::async_write(socket_, buffers, std::move(done));
  }
  tcp::socket& socket() override { return socket_; }

 private:
  tcp::socket socket_;
};

class TlsStream final : public HttpStream {
 public:
  TlsStream(tcp::socket socket, asio::ssl::context& tls) : stream_(std::move(socket), tls) {}

  void Handshake(Done done) override {
    stream_.async_handshake(
        asio::ssl::stream_base::server,
        [done = std::move(done)](boost::system::error_code fault) { done(fault, 0); });
  }
  void Read(asio::mutable_buffer buffer, Done done) override {
    stream_.async_read_some(buffer, std::move(done));
  }
  void Write(Buffers buffers, Done done) override {
    asio::async_write(stream_, buffers, std::move(done));
  }
  tcp::socket& socket() override { return stream_.next_layer(); }

 private:
  asio::ssl::stream<tcp::socket> stream_;
};

}  // namespace

std::unique_ptr<HttpStream> MakeHttpStream(tcp::socket socket, asio::ssl::context* tls) {
  if (tls) return std::make_unique<TlsStream>(std::move(socket), *tls);
  return std::make_unique<PlainStream>(std::move(socket));
}

}  // namespace shoal
