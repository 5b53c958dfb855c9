#include "fuse/init_exchange.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace shoal {
namespace {

// Older kernels send less of fuse_init_in; what they do not send is zero.
fuse_init_in InitOf(std::span<const std::byte> message) {
  fuse_init_in init{};
  const std::span<const std::byte> body = message.subspan(sizeof(fuse_in_header));
  std::memcpy(&init, body.data(), std::min(body.size(), sizeof(init)));
  return init;
}

uint64_t Flags(uint32_t low, uint32_t high) {
  return low & FUSE_INIT_EXT ? low | uint64_t{high} << 32 : low;
}

Result<> CheckMessage(std::span<const std::byte> message) {
  fuse_in_header header{};
  if (message.size() < sizeof(header)) return Fail(Errc::kInvalid, "FUSE_INIT is cut short");
  std::memcpy(&header, message.data(), sizeof(header));
  if (header.opcode != FUSE_INIT || header.len != message.size())
    return Fail(Errc::kInvalid,
                "the first message is not FUSE_INIT: the descriptor was used "
                "before, or is not a new mount's");
  return {};
}

}  // namespace

Result<InitExchange> InitExchange::Receive(int device_fd) {
  std::vector<std::byte> message(FUSE_MIN_READ_BUFFER);
  ssize_t length = 0;
  do {
    pollfd readable{device_fd, POLLIN, 0};  // the descriptor may not block
    poll(&readable, 1, -1);
    length = read(device_fd, message.data(), message.size());
  } while (length < 0 && (errno == EINTR || errno == EAGAIN));
  if (length < 0)
    return Fail(Errc::kUnreachable, std::string("reading FUSE_INIT: ") + std::strerror(errno));
  message.resize(static_cast<size_t>(length));
  RETURN_IF_ERROR(CheckMessage(message));
  return InitExchange(device_fd, std::move(message), /*restored=*/false);
}

Result<InitExchange> InitExchange::Restore(int device_fd, std::span<const std::byte> saved) {
  constexpr size_t kAnswerBytes = sizeof(fuse_out_header) + sizeof(fuse_init_out);
  if (saved.size() < kAnswerBytes) return Fail(Errc::kInvalid, "the saved FUSE_INIT is cut short");
  const std::span<const std::byte> message = saved.first(saved.size() - kAnswerBytes);
  RETURN_IF_ERROR(CheckMessage(message));
  InitExchange exchange(device_fd, {message.begin(), message.end()}, /*restored=*/true);
  const std::byte* answer = saved.data() + message.size();
  std::memcpy(&exchange.answer_header_, answer, sizeof(fuse_out_header));
  std::memcpy(&exchange.answer_, answer + sizeof(fuse_out_header), sizeof(fuse_init_out));
  return exchange;
}

uint64_t InitExchange::offered_flags() const {
  const fuse_init_in init = InitOf(message_);
  return Flags(init.flags, init.flags2);
}

uint32_t InitExchange::offered_minor() const {
  return InitOf(message_).minor;
}

uint64_t InitExchange::agreed_flags() const {
  return Flags(answer_.flags, answer_.flags2);
}

uint32_t InitExchange::request_bytes() const {
  const uint32_t pages = answer_.flags & FUSE_MAX_PAGES ? answer_.max_pages : 32;
  return pages * static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
}

std::vector<std::byte> InitExchange::Saved() const {
  std::vector<std::byte> saved = message_;
  const auto append = [&saved](const auto& part) {
    const auto bytes = std::as_bytes(std::span(&part, 1));
    saved.insert(saved.end(), bytes.begin(), bytes.end());
  };
  append(answer_header_);
  append(answer_);
  return saved;
}

Result<> InitExchange::Complete(Decoder& decoder, bool io_uring, Instant now) {
  io_uring_ = io_uring;
  std::vector<std::byte> message = message_;  // feeding changes it
  decoder.Feed(message, this, now);
  if (!answered_)
    return Fail(Errc::kUnsupported,
                "FUSE_INIT: the kernel and libfuse do not agree on a protocol, or the kernel did "
                "not take the answer");
  return {};
}

int InitExchange::Send(std::span<const iovec> parts) {
  fuse_out_header header{};
  std::memcpy(&header, parts[0].iov_base, sizeof(header));
  if (header.error == 0 && parts.size() == 2 && restored_) {
    answered_ = true;
    return 0;
  }
  fuse_init_out init{};
  size_t init_bytes = 0;
  if (parts.size() == 2) {
    init_bytes = std::min(parts[1].iov_len, sizeof(init));
    std::memcpy(&init, parts[1].iov_base, init_bytes);
    // libfuse gives one number for both directions; see kInputBytesMax.
    init.max_write = std::min(init.max_write, kInputBytesMax);
    // libfuse says so only for the ring it runs itself.
    if (io_uring_) {
      init.flags |= FUSE_INIT_EXT;
      init.flags2 |= static_cast<uint32_t>(kInitOverIoUring >> 32);
    }
  }
  const iovec patched[] = {{&header, sizeof(header)}, {&init, init_bytes}};
  if (writev(device_fd_, patched, init_bytes == 0 ? 1 : 2) < 0) return ENOENT;
  if (header.error == 0) {
    answer_header_ = header;
    answer_ = init;
    answered_ = true;
  }
  return 0;
}

}  // namespace shoal
