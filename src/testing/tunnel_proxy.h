// For tests: a proxy on 127.0.0.1 that connects whoever asks, with CONNECT or by SOCKS 5 (RFC
// 1928), to the port that they name of this host, whatever host they name, and passes on what
// either says.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace shoal {

class TunnelProxy {
 public:
  enum class Protocol : uint8_t { kHttp, kSocks5 };
  explicit TunnelProxy(Protocol protocol = Protocol::kHttp)
      : protocol_(protocol), acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
    Accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~TunnelProxy() {
    context_.stop();
    thread_.join();
  }

  [[nodiscard]] std::string authority() const {
    return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  [[nodiscard]] std::string url() const { return "http://" + authority(); }
  [[nodiscard]] int tunnel_count() const { return tunnel_count_; }

 private:
  using Socket = boost::asio::ip::tcp::socket;
  using Fault = boost::system::error_code;
  struct Tunnel {
    Socket client;
    Socket server;
    std::string head{};
    std::array<std::array<char, 16384>, 2> pieces{};
  };

  void Accept() {
    acceptor_.async_accept([this](Fault fault, Socket client) {
      if (fault) return;
      auto tunnel = std::make_shared<Tunnel>(Tunnel{std::move(client), Socket(context_)});
      if (protocol_ == Protocol::kSocks5)
        ConnectBySocks(tunnel);
      else
        ConnectByHttp(tunnel);
      Accept();
    });
  }

  void ConnectByHttp(const std::shared_ptr<Tunnel>& tunnel) {
    boost::asio::async_read_until(
        tunnel->client, boost::asio::dynamic_buffer(tunnel->head), "\r\n\r\n",
        [this, tunnel](Fault fault, size_t) {
          if (fault) return;
          const size_t colon = tunnel->head.find(':');  // CONNECT HOST:PORT HTTP/1.1
          Connect(tunnel, static_cast<uint16_t>(std::stoi(tunnel->head.substr(colon + 1))),
                  "HTTP/1.1 200 Connection established\r\n\r\n",
                  "HTTP/1.1 502 Bad Gateway\r\n\r\n");
        });
  }

  // Blocks, for nobody else waits meanwhile.
  void ConnectBySocks(const std::shared_ptr<Tunnel>& tunnel) {
    using namespace std::string_literals;
    Fault fault;
    const auto read = [&](size_t count) {
      std::string bytes(count, '\0');
      if (!fault) boost::asio::read(tunnel->client, boost::asio::buffer(bytes), fault);
      return bytes;
    };
    const auto number = [](char byte) { return static_cast<unsigned char>(byte); };
    read(number(read(2)[1]));  // how it would say who it is
    if (!fault) boost::asio::write(tunnel->client, boost::asio::buffer("\x05\x00"s), fault);
    const char kind = read(4)[3];
    if (kind == 3)
      read(number(read(1)[0]));  // a name
    else
      read(kind == 1 ? 4 : 16);  // an address
    const std::string port = read(2);
    if (fault) return;
    const std::string answer = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"s;
    Connect(tunnel, static_cast<uint16_t>(number(port[0]) << 8 | number(port[1])), answer,
            "\x05\x05"s + answer.substr(2));
  }

  void Connect(const std::shared_ptr<Tunnel>& tunnel, uint16_t port, const std::string& success,
               const std::string& failure) {
    Fault fault;
    tunnel->server.connect({boost::asio::ip::address_v4::loopback(), port}, fault);
    const bool is_connected = !fault;
    boost::asio::write(tunnel->client, boost::asio::buffer(is_connected ? success : failure),
                       fault);
    if (!is_connected || fault) return;
    ++tunnel_count_;
    Pass(tunnel, tunnel->client, tunnel->server, tunnel->pieces[0]);
    Pass(tunnel, tunnel->server, tunnel->client, tunnel->pieces[1]);
  }

  void Pass(const std::shared_ptr<Tunnel>& tunnel, Socket& from, Socket& to,
            std::array<char, 16384>& piece) {
    from.async_read_some(boost::asio::buffer(piece),
                         [this, tunnel, &from, &to, &piece](Fault fault, size_t count) {
                           if (!fault)
                             boost::asio::write(to, boost::asio::buffer(piece, count), fault);
                           if (!fault) return Pass(tunnel, from, to, piece);
                           to.shutdown(Socket::shutdown_send, fault);
                         });
  }

  const Protocol protocol_;
  boost::asio::io_context context_;  // run by thread_ alone
  boost::asio::ip::tcp::acceptor acceptor_;
  std::atomic<int> tunnel_count_ = 0;
  std::thread thread_;
};

}  // namespace shoal
