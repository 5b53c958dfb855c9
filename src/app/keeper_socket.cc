#include "app/keeper_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/file_descriptor.h"

namespace shoal {
namespace {

constexpr int kQueueMax = 8;
constexpr time_t kQuestionSecondsMax = 1;
// What the steps of a keeper may take, beside the limit.
constexpr std::chrono::seconds kStepsMax{80};
constexpr size_t kQuestionBytesMax = 128 * 1024;
constexpr size_t kAnswerBytesMax = 16 * 1024;

// How an answer begins.
constexpr char kDone = '=';
constexpr char kRefused = '!';
constexpr char kTakesAnother = '~';

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

Result<FileDescriptor> ListenForQuestions(const std::string& directory) {
  const FileDescriptor folder(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return FailSystem(directory);
  unlinkat(folder.get(), "keeper.sock", 0);
  FileDescriptor end(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un address = AddressIn(folder.get());
  const mode_t mask_before = umask(0177);
  const bool listens =
      end.valid() &&
      bind(end.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      listen(end.get(), kQueueMax) == 0;
  umask(mask_before);  // leaves errno
  if (!listens) return FailSystem(directory + "/keeper.sock");
  return end;
}

Question TakeQuestion(int listening_fd) {
  Question question;
  question.fd = accept4(listening_fd, nullptr, nullptr, SOCK_CLOEXEC);
  if (question.fd < 0) return question;
  LimitWaits(question.fd, kQuestionSecondsMax);
  std::string text(kQuestionBytesMax, '\0');
  const ssize_t length =
      IsRoot(question.fd) ? recv(question.fd, text.data(), text.size(), MSG_TRUNC) : -1;
  if (length <= 0 || length > static_cast<ssize_t>(text.size())) return question;
  text.resize(static_cast<size_t>(length));
  const size_t end = std::min(text.find('\n'), text.size());
  question.word = text.substr(0, end);
  question.state = text.substr(std::min(end + 1, text.size()));
  return question;
}

bool IsKept(const std::string& directory) {
  const auto connection = Connect(directory, SOCK_NONBLOCK);
  return connection || connection.error().code != Errc::kNotFound;
}

void Answer(const Question& question, const Result<>& outcome) {
  if (question.fd < 0) return;
  std::string bytes(1, kDone);
  if (!outcome) {
    bytes = outcome.error().code == Errc::kUnsupported ? kTakesAnother : kRefused;
    bytes += outcome.error().detail.substr(0, kAnswerBytesMax - 1);
  }
  send(question.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  close(question.fd);
}

Result<> AskKeeper(const std::string& directory, std::string_view word, std::string_view state,
                   std::chrono::seconds recovery_limit) {
  ASSIGN_OR_RETURN(const FileDescriptor connection, Connect(directory, /*flags=*/0));
  const int fd = connection.get();
  LimitWaits(fd, (kStepsMax + recovery_limit).count());
  std::string question(word);
  if (!state.empty()) question += "\n" + std::string(state);
  if (question.size() > kQuestionBytesMax)
    return Fail(Errc::kInvalid, "the options are too long for an update");
  std::string answer(kAnswerBytesMax, '\0');
  ssize_t length = -1;
  if (send(fd, question.data(), question.size(), MSG_NOSIGNAL) ==
      static_cast<ssize_t>(question.size()))
    length = recv(fd, answer.data(), answer.size(), 0);
  if (length <= 0)
    return Fail(Errc::kUnreachable, "the keeper of the mount did not answer; its log may say why");
  answer.resize(static_cast<size_t>(length));
  if (answer[0] == kDone) return {};
  return Fail(answer[0] == kTakesAnother ? Errc::kUnsupported : Errc::kInvalid, answer.substr(1));
}

}  // namespace shoal
