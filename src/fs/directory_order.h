// Orders that programs take the files of a directory in, beside that of its listing.
// Pure, but for what the listing is asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fs/directory_listing.h"
#include "fs/walk_detector.h"

namespace shoal {

// Where entries of a listing (by index) stand in an order (places), and back.
class DirectoryOrder {
 public:
  using Place = WalkDetector::Place;

  // That of the listing, however long it becomes.
  DirectoryOrder() = default;
  // That of the inode numbers: cp -r, and others that hope to spare a disk's head.
  static DirectoryOrder ByInode(const DirectoryListing& listing);
  // That of the numbers in names, so that img2 comes before img10: programs that count.
  static DirectoryOrder ByNumber(const DirectoryListing& listing);

  // REQUIRES: the index or place of an entry that was there when the order was made.
  [[nodiscard]] size_t IndexOf(Place place) const {
    return index_of_.empty() ? static_cast<size_t>(place) : index_of_[static_cast<size_t>(place)];
  }
  [[nodiscard]] Place PlaceOf(size_t index) const {
    return place_of_.empty() ? static_cast<Place>(index) : Place{place_of_[index]};
  }

 private:
  explicit DirectoryOrder(std::vector<uint32_t> index_of);

  std::vector<uint32_t> index_of_;  // both empty: the same
  std::vector<uint32_t> place_of_;
};

// Whether `a` is before `b` where runs of digits are taken as numbers.
[[nodiscard]] bool NumbersLess(std::string_view a, std::string_view b);

}  // namespace shoal
