// Where to cut a directory's listing in parts that can be asked for side by side, judged
// from the names seen so far. Pure.
#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

// What the names of a directory are made of, as far as they have been seen: how they all
// begin, and the bytes they have after that.
class NameAlphabet {
 public:
  void Add(std::string_view name);

  [[nodiscard]] std::string_view common() const { return common_; }
  // Each once, in order.
  [[nodiscard]] std::string Bytes() const;

 private:
  std::string common_;
  std::bitset<256> bytes_;
  bool is_empty_ = true;
};

// The names between two, as fractions of the way from one to the other: a name is a number
// whose digits are the bytes of the alphabet.
class NameScale {
 public:
  // Without `end`, to the last name that begins as all names do. REQUIRES: begin < end.
  NameScale(const NameAlphabet& alphabet, std::string_view begin,
            const std::optional<std::string>& end);

  // 0 at `begin`, 1 at `end`. REQUIRES: begin <= name <= end.
  [[nodiscard]] double PositionOf(std::string_view name) const;
  [[nodiscard]] std::string NameAt(double position) const;

 private:
  [[nodiscard]] double NumberOf(std::string_view name) const;

  std::string bytes_;
  std::string common_;
  double begin_ = 0;
  double end_ = 0;
};

// At most `count_max` names, in order, that sort after `last_seen` and before `end` (empty:
// there is no end), have no '/', and are UTF-8 if the names seen are. They are guesses:
// there may be no name between two of them.
//
// They are spread evenly over the alphabet. Where there is no end, half of them follow upon
// the beginnings of what the names from `begun_at` to `last_seen` have in common, because
// names that are alike up to a number differ only there: after "img-0042" and "img-0043" these
// are "j", "in", "imh", "img.", "img-1", "img-01", "img-005".
std::vector<std::string> SplitNames(const NameAlphabet& alphabet, std::string_view begun_at,
                                    std::string_view last_seen,
                                    const std::optional<std::string>& end, size_t count_max);

}  // namespace shoal
