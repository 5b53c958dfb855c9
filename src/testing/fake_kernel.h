// The kernel's end of /dev/fuse, on a socket: for what a real one sends too seldom. Needs no
// rights. Messages keep their borders (SOCK_SEQPACKET); the session's end takes the place of
// the device.
#pragma once

#include <linux/fuse.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace shoal {

class FakeKernel {
 public:
  struct Answer {
    uint64_t unique = 0;
    int error = 0;  // 0, or a negative errno
    std::string body;

    friend bool operator==(const Answer&, const Answer&) = default;
  };

  FakeKernel() {
    [[maybe_unused]] const int made = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds_);
    assert(made == 0);
  }
  ~FakeKernel() {
    Unmount();
    close(fds_[1]);
  }
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  // For StartSession.
  [[nodiscard]] int device_fd() const { return fds_[1]; }

  void SendInit(uint32_t minor = FUSE_KERNEL_MINOR_VERSION) {
    fuse_init_in init{};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = minor;
    init.max_readahead = 128 * 1024;
    init.flags = FUSE_INIT_EXT | FUSE_MAX_PAGES | FUSE_ASYNC_READ;
    Send(FUSE_INIT, 1, 0, BytesOf(init));
  }
  // Who asks from now on; 0: a process of another PID namespace.
  void SetCaller(pid_t caller) { caller_ = caller; }
  void Send(uint32_t opcode, uint64_t unique, uint64_t inode, std::string_view body) {
    fuse_in_header header{};
    header.len = static_cast<uint32_t>(sizeof(header) + body.size());
    header.opcode = opcode;
    header.unique = unique;
    header.nodeid = inode;
    header.pid = static_cast<uint32_t>(caller_);
    const iovec parts[] = {{&header, sizeof(header)},
                           {const_cast<char*>(body.data()), body.size()}};
    [[maybe_unused]] const ssize_t sent = writev(fds_[0], parts, 2);
    assert(sent == static_cast<ssize_t>(header.len));
  }
  // Waits for one.
  Answer Receive() {
    std::string message(2u << 20, '\0');
    const ssize_t length = read(fds_[0], message.data(), message.size());
    fuse_out_header header{};
    if (length < static_cast<ssize_t>(sizeof(header))) return {};
    std::memcpy(&header, message.data(), sizeof(header));
    return {header.unique, header.error,
            message.substr(sizeof(header), static_cast<size_t>(length) - sizeof(header))};
  }
  // Whatever the session does from now on finds no kernel.
  void Unmount() {
    if (fds_[0] >= 0) close(std::exchange(fds_[0], -1));
  }

  template <class Struct>
  static std::string BytesOf(const Struct& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  int fds_[2] = {-1, -1};
  pid_t caller_ = 0;
};

}  // namespace shoal
