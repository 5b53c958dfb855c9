// A socket to an HTTP server on this host, for tests that send what no client would.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "base/file_descriptor.h"

namespace shoal {

class RawHttpClient {
 public:
  struct Answer {
    int status = 0;  // 0: the connection ended without one
    std::string head;
    std::string body;
  };

  explicit RawHttpClient(uint16_t port, int receive_buffer_bytes = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    // Far beyond what anything takes: a test that fails must end.
    const timeval limit{30, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (receive_buffer_bytes > 0)
      setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                 sizeof(receive_buffer_bytes));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }

  [[nodiscard]] bool connected() const { return connected_; }

  // False once the other side has closed.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void HangUp() { shutdown(socket_.get(), SHUT_WR); }

  // The next answer.
  Answer Receive() {
    Answer answer;
    answer.head = ReceiveHead();
    if (answer.head.empty()) return answer;
    std::from_chars(answer.head.data() + 9, answer.head.data() + 12, answer.status);
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const size_t at = answer.head.find(kLength);
    size_t length = 0;
    if (at != std::string::npos)
      std::from_chars(answer.head.data() + at + kLength.size(),
                      answer.head.data() + answer.head.size(), length);
    while (buffer_.size() < length)
      if (!ReceiveMore()) break;
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    buffer_.shrink_to_fit();
    return answer;
  }
  // Of the next answer, with the line ends; empty: the connection ended before.
  std::string ReceiveHead() {
    size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (!ReceiveMore()) return "";
    std::string head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    return head;
  }
  std::string ReceiveToTheEnd() {
    while (ReceiveMore()) {
    }
    return std::move(buffer_);
  }
  Answer Exchange(std::string_view bytes) {
    Send(bytes);
    return Receive();
  }
  Answer Get(std::string_view target) {
    return Exchange("GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }

  // Whether bytes or the end have come, or come within `wait`.
  bool HasNews(std::chrono::milliseconds wait) {
    pollfd news{socket_.get(), POLLIN, 0};
    return !buffer_.empty() || poll(&news, 1, static_cast<int>(wait.count())) > 0;
  }
  // Waits for that; false if bytes come instead, or nothing does.
  bool IsClosed() {
    if (!buffer_.empty() || ReceiveMore()) return false;
    return errno != EAGAIN;
  }

 private:
  bool ReceiveMore() {
    char piece[16384];
    errno = 0;
    const ssize_t got = recv(socket_.get(), piece, sizeof(piece), 0);
    if (got > 0) buffer_.append(piece, static_cast<size_t>(got));
    return got > 0;
  }

  FileDescriptor socket_;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace shoal
