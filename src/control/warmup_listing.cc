#include "control/warmup_listing.h"

#include <utility>

#include "base/log.h"

namespace shoal {

WarmupListing::WarmupListing(ObjectStore& store, std::string mount_prefix, const std::string& path,
                             WarmupFilter filter)
    : store_(&store),
      key_(mount_prefix + path),
      prefix_(path.empty() ? std::move(mount_prefix) : key_ + "/"),
      filter_(std::move(filter)),
      visible_(prefix_),
      is_directory_(path.empty()) {}

Result<std::optional<std::vector<ObjectInfo>>> WarmupListing::Next(Deadline deadline) {
  if (ended_) return std::nullopt;
  // By key rather than by the store's token: no token is promised to be good for hours.
  ASSIGN_OR_RETURN(
      ListPage page,
      ListWithKeys(*store_, {.prefix = prefix_, .delimiter = "", .after = after_}, deadline));
  if (!is_directory_ && page.objects.empty() && !page.next) return File(deadline);
  is_directory_ = true;
  ended_ = !page.next;
  if (!page.objects.empty()) after_ = page.objects.back().version.key;
  std::vector<ObjectInfo> files = visible_.Add(std::move(page));
  std::erase_if(files, [this](const ObjectInfo& object) { return !Matches(object); });
  return files;
}

Result<std::optional<std::vector<ObjectInfo>>> WarmupListing::File(Deadline deadline) {
  Result<ObjectInfo> object = store_->Head(key_, deadline);
  if (!object && object.error().code == Errc::kNotFound)
    return Fail(Errc::kNotFound,
                "there is no file or directory '" + log::Printable(key_) + "' in the bucket");
  if (!object) return tl::unexpected(std::move(object).error());
  ended_ = true;
  std::vector<ObjectInfo> files;
  if (Matches(*object)) files.push_back(*std::move(object));
  return files;
}

bool WarmupListing::Matches(const ObjectInfo& object) const {
  const std::string_view key = object.version.key;
  return filter_.Matches(is_directory_ ? key.substr(prefix_.size()) : std::string_view(),
                         key.substr(key.rfind('/') + 1));
}

}  // namespace shoal
