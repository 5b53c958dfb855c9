// For tests: a proxy on 127.0.0.1 that connects whoever asks with CONNECT, to whatever port of
// this host they name, and passes on what either says.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace shoal {

class TunnelProxy {
 public:
  TunnelProxy() : acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
    Accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~TunnelProxy() {
    context_.stop();
    thread_.join();
  }

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
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
      boost::asio::async_read_until(tunnel->client, boost::asio::dynamic_buffer(tunnel->head),
                                    "\r\n\r\n", [this, tunnel](Fault failed, size_t) {
                                      if (!failed) Connect(tunnel);
                                    });
      Accept();
    });
  }

  void Connect(const std::shared_ptr<Tunnel>& tunnel) {
    // CONNECT HOST:PORT HTTP/1.1
    const size_t colon = tunnel->head.find(':');
    const auto port = static_cast<uint16_t>(std::stoi(tunnel->head.substr(colon + 1)));
    Fault fault;
    tunnel->server.connect({boost::asio::ip::address_v4::loopback(), port}, fault);
    const bool is_connected = !fault;
    const std::string answer = is_connected ? "HTTP/1.1 200 Connection established\r\n\r\n"
                                            : "HTTP/1.1 502 Bad Gateway\r\n\r\n";
    boost::asio::write(tunnel->client, boost::asio::buffer(answer), fault);
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

  boost::asio::io_context context_;  // run by thread_ alone
  boost::asio::ip::tcp::acceptor acceptor_;
  std::atomic<int> tunnel_count_ = 0;
  std::thread thread_;
};

}  // namespace shoal
