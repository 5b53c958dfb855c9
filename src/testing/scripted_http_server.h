// For tests: an HTTP server on 127.0.0.1 that answers each request with the bytes a test
// gives, right or wrong, and keeps what it was asked.
#pragma once

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/http_message.h"

namespace shoal {

struct ScriptedRequest {
  std::string method;
  std::string target;
  HttpHeaders headers;
  int connection = 0;  // counted from 0, in order of arrival
  std::string body{};
};

struct ScriptedReply {
  std::string bytes{};  // head and body as they go out; empty: nothing
  enum class Then { kKeep, kClose, kHang } then = Then::kKeep;
};

// A whole, well-formed answer. `headers` are lines that end in CRLF.
inline ScriptedReply Answer(const std::string& status, const std::string& headers,
                            const std::string& body) {
  return {.bytes = "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
                   "\r\n" + headers + "\r\n" + body};
}

// Thread-safe. `script` is called on one thread of the server's own.
class ScriptedHttpServer {
 public:
  using Script = std::function<ScriptedReply(const ScriptedRequest&)>;

  explicit ScriptedHttpServer(Script script)
      : script_(std::move(script)),
        acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
    port_ = acceptor_.local_endpoint().port();
    Accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~ScriptedHttpServer() {
    context_.stop();
    thread_.join();
  }

  [[nodiscard]] std::string origin() const { return "http://" + authority(); }
  [[nodiscard]] std::string authority() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::vector<ScriptedRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  struct Connection {
    boost::asio::ip::tcp::socket socket;
    int number;
    boost::beast::flat_buffer buffer{};
    boost::beast::http::request<boost::beast::http::string_body> request{};
    std::string reply{};
  };

  void Accept() {
    acceptor_.async_accept([this](boost::system::error_code error, auto socket) {
      if (error) return;
      Read(std::make_shared<Connection>(Connection{std::move(socket), connection_count_++}));
      Accept();
    });
  }

  void Read(const std::shared_ptr<Connection>& connection) {
    connection->request = {};
    auto& c = *connection;
    boost::beast::http::async_read(c.socket, c.buffer, c.request,
                                   [this, connection](boost::system::error_code error, size_t) {
                                     if (!error) Reply(connection);
                                   });
  }

  void Reply(const std::shared_ptr<Connection>& connection) {
    ScriptedRequest request{.method = std::string(connection->request.method_string()),
                            .target = std::string(connection->request.target()),
                            .headers = {},
                            .connection = connection->number,
                            .body = connection->request.body()};
    for (const auto& field : connection->request) {
      std::string name(field.name_string());
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      request.headers[name] = std::string(field.value());
    }
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const ScriptedReply reply = script_(request);
    connection->reply = reply.bytes;
    boost::asio::async_write(
        connection->socket, boost::asio::buffer(connection->reply),
        [this, connection, then = reply.then](boost::system::error_code error, size_t) {
          if (error || then == ScriptedReply::Then::kClose) return;
          if (then == ScriptedReply::Then::kHang) {
            hanging_.push_back(connection);
          } else {
            Read(connection);
          }
        });
  }

  const Script script_;
  boost::asio::io_context context_;  // run by thread_ alone, as is what follows
  boost::asio::ip::tcp::acceptor acceptor_;
  int connection_count_ = 0;
  std::vector<std::shared_ptr<Connection>> hanging_;

  unsigned port_ = 0;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::vector<ScriptedRequest> requests_;  // guarded by mutex_
};

}  // namespace shoal
