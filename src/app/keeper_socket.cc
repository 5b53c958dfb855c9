#include "app/keeper_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file_descriptor.h"

namespace shoal {
namespace {

constexpr int kQueueMax = 8;
constexpr time_t kQuestionSecondsMax = 1;
// Longer than the keeper tries.
constexpr time_t kAnswerSecondsMax = 120;
constexpr size_t kAnswerBytesMax = 16 * 1024;

auto FailSystem(const std::string& what) {
  const Errc code = errno == ENOENT || errno == ECONNREFUSED ? Errc::kNotFound : Errc::kUnreachable;
  return Fail(code, fmt::format("{}: {}", what, std::strerror(errno)));
}

// The directory's path may be longer than a socket's may be: its descriptor's is not.
sockaddr_un AddressIn(int directory_fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto end = fmt::format_to_n(address.sun_path, sizeof(address.sun_path) - 1,
                                    "/proc/self/fd/{}/keeper.sock", directory_fd);
  *end.out = '\0';
  return address;
}

void LimitWaits(int fd, time_t receive_seconds) {
  const timeval receive{receive_seconds, 0};
  const timeval send{kQuestionSecondsMax, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof(send));
}

bool IsRoot(int fd) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == 0;
}

// kNotFound: nobody listens there.
Result<FileDescriptor> Connect(const std::string& directory, int flags) {
  const FileDescriptor folder(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return FailSystem(directory);
  FileDescriptor end(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  const sockaddr_un address = AddressIn(folder.get());
  if (!end.valid() ||
      connect(end.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return FailSystem(directory + "/keeper.sock");
  return end;
}

}  // namespace

Result<int> ListenForQuestions(const std::string& directory) {
  const int directory_fd = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd < 0) return FailSystem(directory);
  unlinkat(directory_fd, "keeper.sock", 0);
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_un address = AddressIn(directory_fd);
  const mode_t mask_before = umask(0177);
  const bool listens =
      fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      listen(fd, kQueueMax) == 0;
  const int error = errno;
  umask(mask_before);
  close(directory_fd);
  if (listens) return fd;
  if (fd >= 0) close(fd);
  errno = error;
  return FailSystem(directory + "/keeper.sock");
}

Question TakeQuestion(int listening_fd) {
  Question question;
  question.fd = accept4(listening_fd, nullptr, nullptr, SOCK_CLOEXEC);
  if (question.fd < 0) return question;
  LimitWaits(question.fd, kQuestionSecondsMax);
  char word[16] = {};
  const ssize_t length = IsRoot(question.fd) ? recv(question.fd, word, sizeof(word), 0) : -1;
  if (length > 0) question.word.assign(word, static_cast<size_t>(length));
  return question;
}

bool IsKept(const std::string& directory) {
  const auto connection = Connect(directory, SOCK_NONBLOCK);
  return connection || connection.error().code != Errc::kNotFound;
}

void Answer(const Question& question, std::string_view reason) {
  if (question.fd < 0) return;
  // The first byte keeps an empty reason from looking like an end.
  const std::string bytes = "=" + std::string(reason.substr(0, kAnswerBytesMax - 1));
  send(question.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  close(question.fd);
}

Result<> AskKeeper(const std::string& directory, std::string_view word) {
  ASSIGN_OR_RETURN(const FileDescriptor connection, Connect(directory, /*flags=*/0));
  const int fd = connection.get();
  LimitWaits(fd, kAnswerSecondsMax);
  std::string answer(kAnswerBytesMax, '\0');
  ssize_t length = -1;
  if (send(fd, word.data(), word.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(word.size()))
    length = recv(fd, answer.data(), answer.size(), 0);
  if (length <= 0)
    return Fail(Errc::kUnreachable, "the keeper of the mount did not answer; its log may say why");
  answer.resize(static_cast<size_t>(length));
  if (answer == "=") return {};
  return Fail(Errc::kInvalid, answer.substr(1));
}

}  // namespace shoal
