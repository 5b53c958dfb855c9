#include "fuse/session.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/cpu_mask.h"
#include "base/log.h"
#include "base/start_thread.h"
#include "fuse/backing_files.h"
#include "fuse/decoder.h"
#include "fuse/device_transport.h"
#include "fuse/init_exchange.h"
#include "fuse/inode_pruner.h"
#include "fuse/io_uring_switch.h"
#include "fuse/mount_table.h"
#include "fuse/operations.h"
#include "fuse/receiver_watch.h"
#include "fuse/ring_transport.h"
#include "fuse/stop_event.h"

namespace shoal {
namespace {

// More do not answer more: requests that wait do not hold a receiver.
constexpr size_t kReceiverCountMax = 8;

// "MAJOR:MINOR" of what is mounted there; empty if nothing is.
std::string DeviceAt(const std::string& mount_point) {
  const auto mounts = MountsAt(mount_point);
  return mounts && !mounts->empty() ? mounts->back().device : "";
}

// Sets how far the kernel reads ahead on the mount; what is then in force, or 0 if unknown.
uint32_t SetReadahead(const std::string& device, uint64_t readahead_kib) {
  const std::string path = "/sys/class/bdi/" + device + "/read_ahead_kb";
  if (!(std::ofstream(path) << readahead_kib << std::flush))
    log::Warn("readahead is the kernel's own: cannot write {}: {}", path, std::strerror(errno));
  uint32_t in_force = 0;
  std::ifstream(path) >> in_force;
  return in_force;
}

class SessionImpl final : public Session, private RequestSink {
 public:
  SessionImpl(FileSystem& file_system, const SessionChannel& channel, InitExchange init,
              const SessionOptions& options, const Clock& clock, HandOver& hand_over)
      : file_system_(file_system),
        device_fd_(channel.device_fd),
        ring_memory_fd_(channel.ring_memory_fd),
        mount_device_(channel.mount_device),
        init_(std::move(init)),
        options_(options),
        metrics_(clock),
        backing_files_(device_fd_, hand_over),
        pruner_(file_system, device_fd_, stop_),
        operations_(file_system, options, backing_files_, pruner_, metrics_, clock,
                    [this] { [[maybe_unused]] const Result<> forgot = ForgetNames(); }),
        ring_(channel.ring) {}

  Result<> Start(const std::string& mount_point) {
    RETURN_IF_ERROR(ChooseTransport());
    const int unused_fd = fcntl(device_fd_, F_DUPFD_CLOEXEC, 0);
    ASSIGN_OR_RETURN(decoder_,
                     Decoder::Make(Operations::Table(), &operations_, unused_fd, metrics_));
    RETURN_IF_ERROR(init_.Complete(*decoder_, ring_ != nullptr, metrics_.Now()));
    saved_init_ = init_.Saved();
    if (ring_) ring_->SetServing();
    // Before the mount is said to be served, so that it is known to have its threads.
    if (ring_ && !init_.restored()) RETURN_IF_ERROR(ring_->Register(/*beside_another=*/false));
    const size_t receiver_count =
        ring_ ? 1 : std::clamp<size_t>(std::thread::hardware_concurrency(), 2, kReceiverCountMax);
    device_.emplace(device_fd_, receiver_count, init_.request_bytes(),
                    static_cast<RequestSink&>(*this), stop_);

    facts_.request_bytes = init_.request_bytes();
    facts_.can_forget_names = operations_.can_forget_names();
    StartPassthrough();
    const std::string device = mount_device_.empty() ? DeviceAt(mount_point) : mount_device_;
    if (init_.restored()) TakeOver(mount_point, device);
    facts_.outlives_its_process =
        init_.offered_minor() >= kNotifyResendMinor && (!ring_ || ring_memory_fd_ >= 0);
    if (!device.empty()) facts_.readahead_kib = SetReadahead(device, options_.readahead_kib);
    log::Info("io_uring: {}; passthrough: {}; requests of up to {} KiB; readahead {} KiB{}",
              facts_.io_uring ? "in use" : "not in use: " + facts_.io_uring_why_not,
              facts_.passthrough ? "in use" : "not in use: " + facts_.passthrough_why_not,
              facts_.request_bytes / 1024, facts_.readahead_kib,
              init_.restored() ? "; attached to a mount that was there" : "");
    return {};
  }

  const std::vector<std::byte>& init_message() const override { return saved_init_; }
  SessionFacts facts() const override {
    SessionFacts facts = facts_;
    if (facts.passthrough) facts.passthrough_why_not = backing_files_.refusal();
    return facts;
  }

  const RequestMetrics& metrics() const override { return metrics_; }
  Duration longest_receipt() const override { return receivers_.Longest(metrics_.Now()); }

  void OnBegun(std::function<void()> begun) override { begun_ = std::move(begun); }

  Result<> Serve() override {
    if (init_.restored()) AskForUnanswered();
    Result<> ring_outcome;
    std::thread ring_thread;
    std::atomic<int> part_count = ring_ ? 2 : 1;
    const auto part_begun = [&] {
      if (--part_count == 0 && begun_) begun_();
    };
    if (ring_ && !ring_->registered()) RETURN_IF_ERROR(ring_->Register(/*beside_another=*/false));
    if (ring_) {
      ASSIGN_OR_RETURN(ring_thread,
                       StartThread([&] { ring_outcome = ring_->Serve(*this, stop_, part_begun); }));
    }
    Result<> device_outcome = device_->Serve(part_begun);
    if (ring_) ring_thread.join();
    RETURN_IF_ERROR(std::move(device_outcome));
    return ring_outcome;
  }

  void Stop() override { stop_.Raise(); }
  void Hold() override {
    if (ring_) ring_->Hold();
  }

  Result<> ForgetNames() override {
    if (!facts_.can_forget_names)
      return Fail(Errc::kUnsupported, "the kernel cannot be told to forget names");
    fuse_out_header notification{sizeof(notification), kNotifyNamesChanged, 0};
    if (write(device_fd_, &notification, sizeof(notification)) < 0)
      return Fail(Errc::kUnreachable,
                  std::string("telling the kernel to forget names: ") + std::strerror(errno));
    return {};
  }

 private:
  Result<> ChooseTransport() {
    const std::string& asked = options_.transport;
    if (init_.restored()) {
      // The kernel was told, once for the life of the mount.
      facts_.io_uring = init_.agreed_flags() & kInitOverIoUring;
      if (!facts_.io_uring) facts_.io_uring_why_not = "the mount was made without";
    } else if (asked == "dev") {
      facts_.io_uring_why_not = "transport=dev";
    } else if (asked == "auto" && CpuMask().count() < sysconf(_SC_NPROCESSORS_ONLN)) {
      // A ring's thread serves its own CPU best, and what waits there after a death is asked for
      // from there.
      facts_.io_uring_why_not = "this process may not run on all processors";
    } else if (!(init_.offered_flags() & kInitOverIoUring)) {
      facts_.io_uring_why_not = WhyNoIoUring();
    } else {
      facts_.io_uring = true;
    }
    if (facts_.io_uring && !ring_) {
      auto ring = RingTransport::Make(device_fd_, options_.request_bytes_max, ring_memory_fd_);
      if (ring) {
        ring_ = *std::move(ring);
        return {};
      }
      if (init_.restored()) return tl::unexpected(std::move(ring).error());
      facts_.io_uring = false;
      facts_.io_uring_why_not = ring.error().detail;
    }
    if (asked == "io_uring" && !init_.restored())
      return Fail(Errc::kUnsupported, "transport=io_uring: " + facts_.io_uring_why_not);
    return {};
  }

  void TakeOver(const std::string& mount_point, const std::string& device) {
    const std::vector<KeptHandle> handles = file_system_.HandlesLeft();
    backing_files_.TakeOver(handles);
    operations_.TakeOver(handles);
    if (!ring_) return;
    const auto file = std::ranges::find(handles, false, &KeptHandle::is_directory);
    ring_->KickAfterStart({.mount_point = mount_point,
                           .device = device,
                           .open_file = file == handles.end() ? 0 : file->inode});
  }

  // Requests of a ring are not among them.
  void AskForUnanswered() {
    if (init_.offered_minor() < kNotifyResendMinor) return;
    fuse_out_header notification{sizeof(notification), kNotifyResend, 0};
    if (write(device_fd_, &notification, sizeof(notification)) < 0)
      log::Warn("what was asked of the process before is lost: {}", std::strerror(errno));
  }

  // After FUSE_INIT, which agrees on it.
  void StartPassthrough() {
    if (options_.passthrough == "off") {
      facts_.passthrough_why_not = "passthrough=off";
    } else if (options_.open_requests == "off") {
      facts_.passthrough_why_not = "open_requests=off";
    } else if (!options_.has_cache) {
      facts_.passthrough_why_not = "no cache";
    } else if (!(init_.offered_flags() & kInitPassthrough)) {
      facts_.passthrough_why_not = "the kernel does not offer it";
    } else if (!(init_.agreed_flags() & kInitPassthrough)) {
      facts_.passthrough_why_not = "the mount was made without";
    } else if (const Result<> started = backing_files_.Start(); !started) {
      facts_.passthrough_why_not = started.error().detail;
    } else {
      facts_.passthrough = true;
    }
  }

  ReceiverWatch::Seat& AddSeat() override { return receivers_.AddSeat(); }

  void Receive(std::span<std::byte> message, ReplyPort* port, ReceiverWatch::Seat& seat) override {
    const Instant now = metrics_.Now();
    seat.Begin(now);
    Handle(message, port, now);
    seat.End();
  }

  void Handle(std::span<std::byte> message, ReplyPort* port, Instant received) {
    const auto* header = reinterpret_cast<const fuse_in_header*>(message.data());
    if (header->opcode == FUSE_INTERRUPT) {
      operations_.Interrupt(reinterpret_cast<const fuse_interrupt_in*>(header + 1)->unique);
      return;
    }
    decoder_->Feed(message, port, received);
  }

  FileSystem& file_system_;
  const int device_fd_;
  const int ring_memory_fd_;
  const std::string mount_device_;
  InitExchange init_;
  const SessionOptions options_;
  std::vector<std::byte> saved_init_;
  SessionFacts facts_;
  std::function<void()> begun_;

  // A transport feeds the decoder, which calls the operations. Their threads are joined
  // before the decoder goes: an answer comes back through it.
  StopEvent stop_;
  RequestMetrics metrics_;
  ReceiverWatch receivers_;
  std::unique_ptr<Decoder> decoder_;
  BackingFiles backing_files_;
  InodePruner pruner_;
  Operations operations_;
  std::optional<DeviceTransport> device_;
  std::shared_ptr<RingTransport> ring_;
};

}  // namespace

Result<> CheckSessionOptions(const SessionOptions& options) {
  const auto wrong = [](std::string_view name, const std::string& value, std::string_view known) {
    return Fail(Errc::kInvalid,
                fmt::format("{}: '{}' is not {}", name, log::Printable(value), known));
  };
  const std::string& transport = options.transport;
  if (transport != "auto" && transport != "io_uring" && transport != "dev")
    return wrong("transport", transport, "auto, io_uring or dev");
  if (options.passthrough != "auto" && options.passthrough != "off")
    return wrong("passthrough", options.passthrough, "auto or off");
  if (options.open_requests != "on" && options.open_requests != "off")
    return wrong("open_requests", options.open_requests, "on or off");
  return {};
}

Result<> PrepareRings(SessionChannel& channel) {
  ASSIGN_OR_RETURN(const InitExchange init,
                   InitExchange::Restore(channel.device_fd, channel.saved_init));
  if (!(init.agreed_flags() & kInitOverIoUring)) return {};
  ASSIGN_OR_RETURN(channel.ring, RingTransport::Make(channel.device_fd, init.request_bytes(),
                                                     channel.ring_memory_fd));
  return {};
}

Result<> StandBy(SessionChannel& channel) {
  return channel.ring ? channel.ring->Register(/*beside_another=*/true) : Result<>();
}

Result<std::unique_ptr<Session>> StartSession(FileSystem& file_system, SessionChannel channel,
                                              const std::string& mount_point,
                                              const SessionOptions& options, const Clock& clock,
                                              HandOver& hand_over) {
  RETURN_IF_ERROR(CheckSessionOptions(options));
  ASSIGN_OR_RETURN(InitExchange init,
                   channel.saved_init.empty()
                       ? InitExchange::Receive(channel.device_fd)
                       : InitExchange::Restore(channel.device_fd, channel.saved_init));
  auto session = std::make_unique<SessionImpl>(file_system, channel, std::move(init), options,
                                               clock, hand_over);
  RETURN_IF_ERROR(session->Start(mount_point));
  return session;
}

}  // namespace shoal
