// Whatever lies in a cache directory, what is read from it are the object's bytes, or nothing.
//
// The first byte of the input says what the rest is: a header for DecodeMeta; the two files of
// an object; changes to files that are right; the fields of a header that is valid, over files
// that do not suit it; the index of a shelf; or changes to a shelf that is right.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "cache/cache_volume.h"
#include "cache/object_meta.h"
#include "cache/open_cache_directory.h"
#include "cache/shelf_log.h"

namespace {

using Bytes = std::vector<std::byte>;

constexpr uint32_t kPageBytes = 4096;
constexpr uint64_t kObjectBytes = 5 * kPageBytes + 100;
constexpr uint64_t kPages = shoal::PageCount(kObjectBytes, kPageBytes);
const std::string kIdentity = "the object";

void Require(bool held) {
  if (!held) std::abort();
}

std::span<const std::byte> AsBytes(std::span<const uint8_t> input) {
  return std::as_bytes(input);
}

// Takes a number off the front of the input; 0 when there is no more.
template <class Number>
Number Take(std::span<const uint8_t>& input) {
  Number number = 0;
  const size_t count = std::min(sizeof(number), input.size());
  std::memcpy(&number, input.data(), count);
  input = input.subspan(count);
  return number;
}

Bytes ObjectContent() {
  Bytes bytes(kObjectBytes);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 4096);
  return bytes;
}

// A header, and the checksum of each page of the object.
Bytes MetaFile(const shoal::ObjectMeta& meta, const Bytes& content) {
  const auto header = shoal::EncodeMeta(meta);
  Require(header.has_value());
  Bytes file(header->begin(), header->end());
  const auto name = shoal::ObjectDigest::Of(kIdentity);
  for (uint64_t page = 0; page < kPages; ++page) {
    const size_t begin = page * kPageBytes;
    const auto bytes =
        std::span(content).subspan(begin, std::min<size_t>(kPageBytes, content.size() - begin));
    const uint64_t checksum = shoal::PageChecksum(name, page, bytes);
    const auto stored = std::as_bytes(std::span(&checksum, 1));
    file.insert(file.end(), stored.begin(), stored.end());
  }
  return file;
}

// One process at a time uses it; it goes at the end.
class Directory {
 public:
  Directory() {
    std::string path = (std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp");
    path += "/shoal-fuzz-XXXXXX";
    Require(mkdtemp(path.data()) != nullptr);
    path_ = path + "/";
    // What it warns of is what it is given.
    Require(shoal::log::Start(shoal::log::Target::kStderr, "error").has_value());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

  void Write(const Bytes& meta, const Bytes& data, uint64_t data_bytes) const {
    const std::string hex = shoal::ObjectDigest::Of(kIdentity).Hex();
    const std::filesystem::path folder = path_ + "shoal-cache/" + hex.substr(0, 2);
    std::filesystem::create_directories(folder);
    for (const auto& [suffix, bytes] : {std::pair{".meta", &meta}, std::pair{".data", &data}}) {
      std::ofstream file(folder / (hex + suffix), std::ios::binary | std::ios::trunc);
      file.write(reinterpret_cast<const char*>(bytes->data()),
                 static_cast<std::streamsize>(bytes->size()));
    }
    // A file may be longer than what was ever written to it.
    truncate((folder / (hex + ".data")).c_str(), static_cast<off_t>(data_bytes));
  }
  // To the shelf on which the object would be.
  void WriteShelf(const Bytes& index, const Bytes& shelf) const {
    const std::filesystem::path folder = path_ + "shoal-cache/shelves";
    std::filesystem::create_directories(folder);
    const uint64_t number = shoal::ObjectDigest::Of(kIdentity).words[0] % 64;
    constexpr char kDigits[] = "0123456789abcdef";
    const std::string name = {kDigits[number / 16], kDigits[number % 16]};
    for (const auto& [suffix, bytes] : {std::pair{".index", &index}, std::pair{".bytes", &shelf}}) {
      std::ofstream file(folder / (name + suffix), std::ios::binary | std::ios::trunc);
      file.write(reinterpret_cast<const char*>(bytes->data()),
                 static_cast<std::streamsize>(bytes->size()));
    }
  }

 private:
  std::string path_;
};

void CheckRead(shoal::CacheVolume& volume, const shoal::CacheVolume::Use& use,
               shoal::ByteRange range, const Bytes& content, shoal::Deadline deadline) {
  const auto expected = std::span(content).subspan(range.offset, range.length);
  Bytes now(range.length);
  if (volume.ReadNow(*use, range.offset, now)) Require(std::ranges::equal(now, expected));
  const auto chunk = volume.Read(use, range, deadline);
  if (chunk != nullptr) Require(std::ranges::equal(chunk->span(), expected));
}

// Reads what there is in every way, then keeps the object again, and reads that.
void UseDirectory(const Directory& directory, const Bytes& content, uint64_t shelved_below) {
  const shoal::SystemClock clock;
  const auto deadline = shoal::Deadline::After(clock, std::chrono::seconds(10));
  auto storage =
      shoal::OpenCacheDirectory(directory.path(), {.shelved_below_bytes = shelved_below});
  Require(storage.has_value());
  shoal::CacheVolume volume(
      {.capacity_bytes = shoal::kMiB, .page_bytes = kPageBytes, .free_bytes_min = 0},
      *std::move(storage), clock);
  volume.WaitUntilScanned();
  for (int round = 0; round < 2; ++round) {
    const auto use = volume.Open(shoal::ObjectDigest::Of(kIdentity), kIdentity, kObjectBytes);
    Require(volume.Load(use, deadline));
    CheckRead(volume, use, {kPageBytes + 7, 100}, content, deadline);
    CheckRead(volume, use, {2 * kPageBytes, kObjectBytes - 2 * kPageBytes}, content, deadline);
    if (const auto whole = volume.Whole(use, deadline)) {
      Bytes read(kObjectBytes + 1);
      Require(pread(whole->fd(), read.data(), read.size(), 0) ==
              static_cast<ssize_t>(kObjectBytes));
      read.resize(kObjectBytes);
      Require(read == content);
    }
    shoal::CacheChunk chunk{.offset = 0,
                            .size_bytes = content.size(),
                            .bytes = std::make_unique<std::byte[]>(content.size())};
    std::ranges::copy(content, chunk.bytes.get());
    volume.Fill(use, std::move(chunk));
    volume.WaitUntilWritten();
  }
}

void ReadFiles(std::span<const uint8_t> input, uint8_t kind) {
  static const Directory directory;
  static const Bytes content = ObjectContent();
  shoal::ObjectMeta fields{
      .identity = kIdentity, .size_bytes = kObjectBytes, .page_bytes = kPageBytes};
  Bytes meta = MetaFile(fields, content);
  Bytes data = content;
  uint64_t data_bytes = data.size();
  if (kind == 1) {
    const auto split = std::min<size_t>(Take<uint16_t>(input), input.size());
    const auto bytes = AsBytes(input);
    meta.assign(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(split));
    data.assign(bytes.begin() + static_cast<ptrdiff_t>(split), bytes.end());
    data_bytes = Take<uint8_t>(input) % 2 == 0 ? kObjectBytes : data.size();
  } else if (kind == 2) {
    while (!input.empty()) {
      const auto place = Take<uint16_t>(input);
      Bytes& file = place % 2 == 0 ? meta : data;
      file[place / 2 % file.size()] ^= static_cast<std::byte>(Take<uint8_t>(input));
    }
  } else {
    fields.size_bytes = Take<uint64_t>(input);
    fields.page_bytes = Take<uint32_t>(input);
    data_bytes = Take<uint8_t>(input) % 2 == 0 ? fields.size_bytes : kObjectBytes;
    if (!input.empty())
      fields.identity.assign(reinterpret_cast<const char*>(input.data()),
                             std::min<size_t>(input.size(), 1000));
    meta = MetaFile(fields, content);
  }
  directory.Write(meta, data, std::min<uint64_t>(data_bytes, INT64_MAX));
  UseDirectory(directory, content, 0);
}

// Three objects, of which the middle one is the object.
void ReadShelf(std::span<const uint8_t> input, bool is_index) {
  static const Directory directory;
  static const Bytes content = ObjectContent();
  static const Bytes meta = MetaFile(
      {.identity = kIdentity, .size_bytes = kObjectBytes, .page_bytes = kPageBytes}, content);
  Bytes shelf(12 * kPageBytes + kObjectBytes);
  std::ranges::copy(meta, shelf.begin() + 2 * kPageBytes);
  std::ranges::copy(content, shelf.begin() + 3 * kPageBytes);
  Bytes index;
  for (const auto& [name, place] :
       {std::pair{"before", shoal::ShelfPlace{0, 10}},
        std::pair{kIdentity.c_str(), shoal::ShelfPlace{2, kObjectBytes}},
        std::pair{"behind", shoal::ShelfPlace{9, 10}}}) {
    const auto entry =
        shoal::EncodeShelfEntry({.name = shoal::ObjectDigest::Of(name), .place = place});
    index.insert(index.end(), entry.begin(), entry.end());
  }
  if (is_index) {
    const auto bytes = AsBytes(input);
    index.insert(index.end(), bytes.begin(), bytes.end());
  }
  while (!is_index && !input.empty()) {
    const auto place = Take<uint16_t>(input);
    Bytes& file = place % 2 == 0 ? index : shelf;
    file[place / 2 % file.size()] ^= static_cast<std::byte>(Take<uint8_t>(input));
  }
  directory.WriteShelf(index, shelf);
  UseDirectory(directory, content, shoal::kShelvedBytesMax);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::span<const uint8_t> input(bytes, size);
  const auto kind = static_cast<uint8_t>(Take<uint8_t>(input) % 6);
  if (kind >= 4) {
    ReadShelf(input, kind == 4);
    return 0;
  }
  if (kind != 0) {
    ReadFiles(input, kind);
    return 0;
  }
  std::array<std::byte, shoal::kMetaHeaderBytes> padded{};
  std::ranges::copy(AsBytes(input).first(std::min(input.size(), padded.size())), padded.begin());
  for (const auto header : {AsBytes(input), std::span<const std::byte>(padded)})
    if (const auto meta = shoal::DecodeMeta(header)) {
      Require(meta->page_bytes > 0 && meta->identity.size() < shoal::kMetaHeaderBytes);
      Require(shoal::EncodeMeta(*meta).has_value());
    }
  return 0;
}
