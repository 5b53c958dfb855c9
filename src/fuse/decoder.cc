#include "fuse/decoder.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "base/log.h"
#include "fuse/kernel_abi.h"

namespace shoal {
namespace {

thread_local ReplyPort* current_port = nullptr;

ssize_t SendToPort(int, iovec* parts, int count, void*) {
  auto* header = static_cast<fuse_out_header*>(parts[0].iov_base);
  auto* port = std::bit_cast<ReplyPort*>(header->unique);
  int error = ENOENT;  // an answer to a message that gets none
  const ssize_t sent_bytes = header->len;
  if (port != nullptr) {
    header->unique = port->unique;
    port->metrics->Answered(port->opcode, port->received, -header->error,
                            header->len - sizeof(*header));
    error = port->Send({parts, static_cast<size_t>(count)});
  }
  if (error == 0) return sent_bytes;
  errno = error;
  return -1;
}

// Messages come from the transports only.
ssize_t RefuseToRead(int, void*, size_t, void*) {
  errno = ENOTSUP;
  return -1;
}

__attribute__((format(printf, 2, 0))) void LogFromLibfuse(fuse_log_level level, const char* format,
                                                          va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof(line), format, arguments);
  std::string_view text(line);
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (level <= FUSE_LOG_WARNING) {
    log::Warn("libfuse: {}", text);
  } else {
    log::Debug("libfuse: {}", text);
  }
}

}  // namespace

Result<std::unique_ptr<Decoder>> Decoder::Make(const fuse_lowlevel_ops& operations, void* userdata,
                                               int unused_fd, RequestMetrics& metrics) {
  fuse_set_log_func(LogFromLibfuse);
  char program[] = "shoal";
  char* arguments[] = {program, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, arguments);
  fuse_session* session = fuse_session_new(&args, &operations, sizeof(operations), userdata);
  fuse_opt_free_args(&args);
  if (session == nullptr) {
    close(unused_fd);
    return Fail(Errc::kInvalid, "libfuse made no session");
  }
  std::unique_ptr<Decoder> decoder(new Decoder(session, metrics));
  fuse_custom_io io{};
  io.writev = SendToPort;
  io.read = RefuseToRead;
  if (const int error = fuse_session_custom_io(session, &io, sizeof(io), unused_fd); error != 0) {
    close(unused_fd);
    return Fail(Errc::kUnsupported,
                std::string("libfuse takes no messages from us: ") + std::strerror(-error));
  }
  return decoder;
}

void Decoder::Feed(std::span<std::byte> message, ReplyPort* port, Instant received) {
  auto* header = reinterpret_cast<fuse_in_header*>(message.data());
  current_port = port;
  if (port != nullptr) {
    port->unique = header->unique;
    port->opcode = header->opcode;
    port->received = received;
    port->metrics = &metrics_;
  }
  // libfuse hands this number back with the answer and does nothing else with it.
  header->unique = std::bit_cast<uint64_t>(port);
  fuse_buf buffer{};
  buffer.size = message.size();
  buffer.mem = message.data();
  fuse_session_process_buf(session_.get(), &buffer);
}

ReplyPort* Decoder::CurrentPort() {
  return current_port;
}

bool ExpectsReply(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
         opcode != FUSE_NOTIFY_REPLY;
}

}  // namespace shoal
