#include "fs/name_splitter.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace shoal {
namespace {

// No byte of UTF-8 is as large.
constexpr unsigned char kByteEnd = 0xF5;
// So many bytes tell two names apart after what they have in common; with them and 250
// different bytes the numbers are exact.
constexpr size_t kDigits = 6;
// Of a name, after what all have in common: enough to know its alphabet.
constexpr size_t kBytesSeen = 16;

size_t CommonLength(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// The name closest to `bytes` that is UTF-8 and can be sent; nothing if there is none.
std::string Sendable(std::string_view bytes) {
  std::string out;
  size_t continuation_count = 0;  // bytes that the character begun last still needs
  for (const char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    if (continuation_count > 0) {
      byte = std::clamp<unsigned char>(byte, 0x80, 0xBF);
      // Second bytes that would make the character overlong, a surrogate or too large.
      const auto lead = static_cast<unsigned char>(out.back());
      if (lead == 0xE0) byte = std::max<unsigned char>(byte, 0xA0);
      if (lead == 0xED) byte = std::min<unsigned char>(byte, 0x9F);
      if (lead == 0xF0) byte = std::max<unsigned char>(byte, 0x90);
      if (lead == 0xF4) byte = std::min<unsigned char>(byte, 0x8F);
      --continuation_count;
    } else {
      if (byte == '/') byte = '0';
      if (byte < ' ') byte = ' ';
      if (byte == 0x7F) byte = '~';
      if (byte >= 0x80 && byte < 0xC2) byte = 0xC2;
      if (byte >= kByteEnd) return {};
      continuation_count = byte < 0x80 ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    }
    out.push_back(static_cast<char>(byte));
  }
  return continuation_count == 0 ? out : Sendable(out + std::string(continuation_count, '\x80'));
}

}  // namespace

void NameAlphabet::Add(std::string_view name) {
  if (is_empty_) common_ = name;
  is_empty_ = false;
  const size_t common = CommonLength(common_, name);
  for (const char c : common_.substr(common)) bytes_.set(static_cast<unsigned char>(c));
  common_.resize(common);
  for (const char c : name.substr(common, kBytesSeen)) bytes_.set(static_cast<unsigned char>(c));
}

std::string NameAlphabet::Bytes() const {
  std::string bytes;
  for (size_t byte = 0; byte < bytes_.size(); ++byte)
    if (bytes_.test(byte)) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

NameScale::NameScale(const NameAlphabet& alphabet, std::string_view begin,
                     const std::optional<std::string>& end)
    : bytes_(alphabet.Bytes()),
      common_(begin.substr(0, CommonLength(begin, end ? *end : alphabet.common()))),
      begin_(NumberOf(begin)),
      end_(end ? NumberOf(*end) : std::pow(static_cast<double>(bytes_.size()), kDigits)) {}

double NameScale::NumberOf(std::string_view name) const {
  const auto less = [](char a, char b) {
    return static_cast<unsigned char>(a) < static_cast<unsigned char>(b);
  };
  double number = 0;
  for (size_t i = common_.size(); i < common_.size() + kDigits; ++i) {
    number *= static_cast<double>(bytes_.size());
    if (i < name.size())
      number +=
          static_cast<double>(std::ranges::lower_bound(bytes_, name[i], less) - bytes_.begin());
  }
  return number;
}

double NameScale::PositionOf(std::string_view name) const {
  return end_ <= begin_ ? 1 : std::clamp((NumberOf(name) - begin_) / (end_ - begin_), 0.0, 1.0);
}

std::string NameScale::NameAt(double position) const {
  const auto base = static_cast<uint64_t>(bytes_.size());
  auto number = static_cast<uint64_t>(begin_ + (end_ - begin_) * position);
  std::string digits;
  for (size_t i = 0; i < kDigits && base > 0; ++i, number /= base)
    digits.push_back(bytes_[number % base]);
  std::ranges::reverse(digits);
  return common_ + digits;
}

std::vector<std::string> SplitNames(const NameAlphabet& alphabet, std::string_view begun_at,
                                    std::string_view last_seen,
                                    const std::optional<std::string>& end, size_t count_max) {
  std::vector<std::string> out;
  const auto add = [&](std::string_view bytes) {
    std::string name = Sendable(bytes);
    if (name > last_seen && (!end || name < *end)) out.push_back(std::move(name));
  };

  const size_t place_count = end ? 0 : CommonLength(begun_at, last_seen);
  const size_t successor_count = std::min(count_max / 2, place_count);
  for (size_t i = 0; i < successor_count; ++i) {
    std::string name(last_seen.substr(0, i * place_count / successor_count + 1));
    name.back() = static_cast<char>(static_cast<unsigned char>(name.back()) + 1);
    add(name);
  }

  const NameScale scale(alphabet, last_seen, end);
  const size_t even_count = count_max - successor_count;
  for (size_t i = 1; i <= even_count; ++i)
    add(scale.NameAt(static_cast<double>(i) / static_cast<double>(even_count + 1)));
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace shoal
