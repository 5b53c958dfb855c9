#include "fuse/ring_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/file_descriptor.h"

namespace shoal {
namespace {

// Another one wherever what lies in the memory comes to mean something else.
constexpr uint64_t kMagic = 0x32474E49524C4853;  // "SHLRING2"
constexpr size_t kHeadBytes = 4096;

// Below what mmap(2) gives out from the top, with room for 400 GiB of it; within what the
// sanitizers leave to programs. A process that has something there cannot take over.
void* const kAddress = reinterpret_cast<void*>(0x7e9000000000);

auto FailSystem(const char* what) {
  return Fail(Errc::kUnsupported,
              std::string("memory for the rings: ") + what + ": " + std::strerror(errno));
}

size_t EntryCount(const RingGeometry& geometry) {
  return size_t{geometry.queue_count} * geometry.entry_count;
}

// Of the head and the table of owners.
size_t FrontBytes(const RingGeometry& geometry) {
  const size_t table_bytes = EntryCount(geometry) * sizeof(std::atomic<uint64_t>);
  return kHeadBytes +
         (table_bytes + RingEntryPage::kBytes - 1) / RingEntryPage::kBytes * RingEntryPage::kBytes;
}

size_t BytesOf(const RingGeometry& geometry) {
  return FrontBytes(geometry) +
         EntryCount(geometry) * (RingEntryPage::kBytes + geometry.payload_bytes);
}

}  // namespace

struct RingMemory::Head {
  uint64_t magic;
  uint64_t page_bytes;  // of RingEntryPage: a program with another one cannot take over
  RingGeometry geometry;
  std::atomic<uint64_t> last_turn;
  std::atomic<uint64_t> serving_turn;
};

Result<int> RingMemory::MakeFile() {
  const int fd = memfd_create("shoal-rings", MFD_CLOEXEC);
  if (fd < 0) return FailSystem("memfd_create");
  return fd;
}

Result<std::unique_ptr<RingMemory>> RingMemory::Map(int fd, const RingGeometry& wanted) {
  FileDescriptor own;
  if (fd < 0) {
    ASSIGN_OR_RETURN(fd, MakeFile());
    own = FileDescriptor(fd);
  }
  struct stat file {};
  if (fstat(fd, &file) != 0) return FailSystem("fstat");
  const bool is_first = file.st_size == 0;
  if (is_first && ftruncate(fd, static_cast<off_t>(BytesOf(wanted))) != 0)
    return FailSystem("ftruncate");
  const size_t bytes = is_first ? BytesOf(wanted) : static_cast<size_t>(file.st_size);
  // One that nobody takes over can lie anywhere.
  void* const address = own.valid() ? nullptr : kAddress;
  const int fixed = own.valid() ? 0 : MAP_FIXED_NOREPLACE;
  void* const memory =
      mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | fixed, fd, 0);
  if (memory == MAP_FAILED) return FailSystem("mmap");
  // Huge pages would make every small answer resident as two megabytes.
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  auto* const head = static_cast<Head*>(memory);
  if (is_first) {
    head->geometry = wanted;
    head->page_bytes = sizeof(RingEntryPage);
    head->magic = kMagic;
  }
  if (bytes < kHeadBytes || head->magic != kMagic || head->page_bytes != sizeof(RingEntryPage) ||
      BytesOf(head->geometry) != bytes) {
    munmap(memory, bytes);
    return Fail(Errc::kUnsupported, "the memory of the rings is of another version");
  }
  return std::unique_ptr<RingMemory>(new RingMemory(static_cast<std::byte*>(memory), bytes));
}

RingMemory::RingMemory(std::byte* memory, size_t bytes)
    : memory_(memory), bytes_(bytes), turn_(head().last_turn.fetch_add(1) + 1) {}

RingMemory::~RingMemory() {
  munmap(memory_, bytes_);
}

RingMemory::Head& RingMemory::head() const {
  static_assert(sizeof(Head) <= kHeadBytes);
  return *reinterpret_cast<Head*>(memory_);
}

const RingGeometry& RingMemory::geometry() const {
  return head().geometry;
}

std::byte* RingMemory::entry_memory(uint32_t queue, uint32_t entry) const {
  const size_t index = size_t{queue} * geometry().entry_count + entry;
  return memory_ + FrontBytes(geometry()) +
         index * (RingEntryPage::kBytes + geometry().payload_bytes);
}

std::atomic<uint64_t>& RingMemory::owner(uint32_t queue, uint32_t entry) const {
  auto* const table = reinterpret_cast<std::atomic<uint64_t>*>(memory_ + kHeadBytes);
  return table[size_t{queue} * geometry().entry_count + entry];
}

RingEntryPage& RingMemory::page(uint32_t queue, uint32_t entry) const {
  return *reinterpret_cast<RingEntryPage*>(entry_memory(queue, entry));
}

std::byte* RingMemory::payload(uint32_t queue, uint32_t entry) const {
  return entry_memory(queue, entry) + RingEntryPage::kBytes;
}

uint64_t RingMemory::serving_turn() const {
  return head().serving_turn.load();
}

void RingMemory::SetServing() {
  head().serving_turn.store(turn_);
}

}  // namespace shoal
