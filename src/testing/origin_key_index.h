// The keys of a bucket in byte order, read from its directories and remembered.
//
// A directory's sorted names are kept until its modification time changes, so a page of a
// large directory costs a binary search, not a scan. A directory that changed a moment ago
// is not trusted: within one tick of the kernel's clock a second change leaves the same
// time behind.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "testing/origin_files.h"

namespace shoal::embedded {

// Thread-safe. `files` outlives it.
class KeyIndex {
 public:
  // `hidden`: the name in the top directory that holds no keys.
  KeyIndex(const FilesBelow& files, std::string hidden)
      : files_(files), hidden_(std::move(hidden)) {}

  // Keys that have no file of their own name; listed among the others.
  void AddAside(std::string_view key);
  void RemoveAside(const std::string& key);
  [[nodiscard]] bool HasAside(std::string_view key) const;

  // A view for one request: each directory is looked at once, so the page is of one piece.
  // Used by one thread; the index outlives it.
  class Cursor {
   public:
    explicit Cursor(KeyIndex& index) : index_(index) {}
    // The first key not less than `from`. None, and none from then on, once a directory could
    // not be read.
    std::optional<std::string> AtOrAfter(std::string_view from);
    // Why not: the page is not to be given out.
    [[nodiscard]] const std::optional<Error>& trouble() const { return trouble_; }

   private:
    using Names = std::shared_ptr<const std::vector<std::string>>;
    std::optional<std::string> InDirectory(const std::string& directory, std::string_view from);
    const std::vector<std::string>& NamesOf(const std::string& directory);

    KeyIndex& index_;
    std::map<std::string, Names> seen_;
    std::optional<Error> trouble_;
  };

 private:
  struct Directory {
    // Sorted as their keys sort: a directory's name ends in '/'.
    std::shared_ptr<const std::vector<std::string>> names;
    FileStamp stamp;
    bool settled = false;
  };
  // None of a directory that is not there.
  Result<std::shared_ptr<const std::vector<std::string>>> NamesOf(const std::string& directory);

  const FilesBelow& files_;
  const std::string hidden_;
  mutable Mutex mutex_;
  std::map<std::string, Directory> directories_ GUARDED_BY(mutex_);
  size_t name_count_ GUARDED_BY(mutex_) = 0;
  std::set<std::string, std::less<>> aside_ GUARDED_BY(mutex_);
};

}  // namespace shoal::embedded
