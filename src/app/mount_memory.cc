#include "app/mount_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "base/bytes.h"

namespace shoal {
namespace {

constexpr uint64_t kMagic = 0x314D454D4C414F48;  // "HOALMEM1"
constexpr size_t kHeaderBytes = 64 * kKiB;
// Room for millions of directories. Only what is written takes memory.
constexpr size_t kMemoryBytes = 2048 * kMiB;
constexpr size_t kInitBytesMax = 4096;
constexpr size_t kDeviceBytes = 28;

auto FailSystem(const char* what) {
  return Fail(Errc::kInvalid,
              std::string("memory to keep the mount in: ") + what + ": " + std::strerror(errno));
}

}  // namespace

struct MountMemory::Header {
  uint64_t magic;
  std::atomic<uint32_t> init_bytes;
  std::atomic<uint32_t> outlives_its_worker;
  std::atomic<uint64_t> recovery_limit_seconds;
  std::atomic<uint64_t> options_served;
  std::byte init[kInitBytesMax];
  std::atomic<uint32_t> uses_rings;
  char device[kDeviceBytes];
  std::atomic<uint32_t> opens_go_unasked;
  std::atomic<uint64_t> death_count;
  std::atomic<int64_t> last_death_unix_seconds;
  std::atomic<uint64_t> replaced_count;
};

Result<std::unique_ptr<MountMemory>> MountMemory::Map(int fd, int owned_fd) {
  static_assert(sizeof(Header) <= kHeaderBytes);
  void* const memory =
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (memory == MAP_FAILED) return FailSystem("mmap");
  return std::unique_ptr<MountMemory>(new MountMemory(owned_fd, static_cast<std::byte*>(memory)));
}

Result<std::unique_ptr<MountMemory>> MountMemory::Create() {
  const int fd = memfd_create("shoal-mount", MFD_CLOEXEC);
  if (fd < 0) return FailSystem("memfd_create");
  if (ftruncate(fd, kMemoryBytes) != 0) {
    const auto failed = FailSystem("ftruncate");
    close(fd);
    return failed;
  }
  auto memory = Map(fd, fd);
  if (!memory) {
    close(fd);
    return memory;
  }
  (*memory)->header().magic = kMagic;
  return memory;
}

Result<std::unique_ptr<MountMemory>> MountMemory::Open(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return FailSystem("fstat");
  if (status.st_size != static_cast<off_t>(kMemoryBytes))
    return Fail(Errc::kInvalid, "the memory of the mount is of another version");
  ASSIGN_OR_RETURN(auto memory, Map(fd, -1));
  if (memory->header().magic != kMagic)
    return Fail(Errc::kInvalid, "the memory of the mount is of another version");
  return memory;
}

MountMemory::~MountMemory() {
  munmap(memory_, kMemoryBytes);
  if (fd_ >= 0) close(fd_);
}

MountMemory::Header& MountMemory::header() const {
  return *reinterpret_cast<Header*>(memory_);
}

std::vector<std::byte> MountMemory::saved_init() const {
  const uint32_t bytes = header().init_bytes.load(std::memory_order_acquire);
  if (bytes > kInitBytesMax) return {};
  return {header().init, header().init + bytes};
}

Result<> MountMemory::SaveInit(std::span<const std::byte> message) {
  if (message.size() > kInitBytesMax)
    return Fail(Errc::kUnsupported, "the kernel's FUSE_INIT is longer than expected");
  std::memcpy(header().init, message.data(), message.size());
  header().init_bytes.store(static_cast<uint32_t>(message.size()), std::memory_order_release);
  return {};
}

bool MountMemory::outlives_its_worker() const {
  return header().outlives_its_worker.load() != 0;
}
void MountMemory::SetOutlivesItsWorker(bool outlives) {
  header().outlives_its_worker.store(outlives ? 1 : 0);
}
bool MountMemory::uses_rings() const {
  return header().uses_rings.load() != 0;
}
void MountMemory::SetUsesRings(bool uses) {
  header().uses_rings.store(uses ? 1 : 0);
}
bool MountMemory::opens_go_unasked() const {
  return header().opens_go_unasked.load() != 0;
}
void MountMemory::SetOpensGoUnasked(bool unasked) {
  header().opens_go_unasked.store(unasked ? 1 : 0);
}
std::string MountMemory::device() const {
  return {header().device, strnlen(header().device, kDeviceBytes)};
}

void MountMemory::SetDevice(std::string_view device) {
  header().device[device.copy(header().device, kDeviceBytes - 1)] = '\0';
}

uint64_t MountMemory::recovery_limit_seconds() const {
  return header().recovery_limit_seconds.load();
}
void MountMemory::SetRecoveryLimit(uint64_t seconds) {
  header().recovery_limit_seconds.store(seconds);
}

uint64_t MountMemory::options_served() const {
  return header().options_served.load();
}
void MountMemory::SetOptionsServed(uint64_t number) {
  header().options_served.store(number);
}

WorkersBefore MountMemory::workers_before() const {
  return {.death_count = header().death_count.load(),
          .last_death_unix_seconds = header().last_death_unix_seconds.load(),
          .replaced_count = header().replaced_count.load()};
}
void MountMemory::CountDeath(int64_t unix_seconds) {
  header().last_death_unix_seconds.store(unix_seconds);
  ++header().death_count;
}
void MountMemory::CountReplacement() {
  ++header().replaced_count;
}

std::span<std::byte> MountMemory::hand_over_area() const {
  return {memory_ + kHeaderBytes, kMemoryBytes - kHeaderBytes};
}

}  // namespace shoal
