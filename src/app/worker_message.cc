#include "app/worker_message.h"

#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <string_view>

namespace shoal {
namespace {

constexpr size_t kTextBytesMax = 8192;

}  // namespace

bool SendMessage(int socket_fd, const WorkerMessage& message) {
  std::string bytes{static_cast<char>(message.kind), static_cast<char>(message.exit_status)};
  bytes += std::string_view(message.text).substr(0, kTextBytesMax);
  return send(socket_fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

std::optional<WorkerMessage> ReceiveMessage(int socket_fd) {
  std::string bytes(kTextBytesMax + 2, '\0');
  ssize_t length = 0;
  do {
    length = recv(socket_fd, bytes.data(), bytes.size(), 0);
  } while (length < 0 && errno == EINTR);
  if (length < 2) return std::nullopt;
  bytes.resize(static_cast<size_t>(length));
  if (std::string_view("RGSFCNHBbA").find(bytes[0]) == std::string_view::npos) return std::nullopt;
  return WorkerMessage{.kind = WorkerMessage::Kind{bytes[0]},
                       .exit_status = static_cast<unsigned char>(bytes[1]),
                       .text = bytes.substr(2)};
}

}  // namespace shoal
