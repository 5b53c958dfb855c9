// Whatever a server says, in whatever pieces: what is received in its place is what is appended,
// and no more of it than there is room for.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "net/http_answer_reader.h"

namespace {

class Receiver final : public shoal::HttpReceiver, public shoal::ByteSink {
 public:
  explicit Receiver(size_t room_bytes) : room_(room_bytes) {}
  shoal::ByteSink* Begin(shoal::HttpHead head) override {
    if (begun_ || head.status < 200) std::abort();
    begun_ = true;
    return this;
  }
  bool Append(std::span<const std::byte> bytes) override {
    if (!begun_) std::abort();
    if (bytes.data() == room_.data() && bytes.size() > room_.size()) std::abort();
    return true;
  }
  std::span<std::byte> Room() override { return room_; }

 private:
  std::vector<std::byte> room_;
  bool begun_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  Receiver receiver(data[0]);
  const size_t piece_bytes = data[1] + size_t{1};
  shoal::HttpAnswerReader reader(receiver, data[2] % 2 == 0);
  for (size_t at = 3; at < size && !reader.done();) {
    const std::span<std::byte> room = reader.Room();
    const size_t count = std::min({room.size(), piece_bytes, size - at});
    if (count == 0) std::abort();
    std::memcpy(room.data(), data + at, count);
    at += count;
    if (!reader.Took(count)) return 0;
  }
  if (!reader.done()) static_cast<void>(reader.Ended());
  return 0;
}
