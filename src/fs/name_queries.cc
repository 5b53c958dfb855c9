#include "fs/name_queries.h"

#include <future>
#include <memory>
#include <utility>

#include "base/log.h"

namespace shoal {
namespace {

std::string Listing(const std::string& prefix) {
  return "ListObjects '" + log::Printable(prefix) + "'";
}

}  // namespace

void FailedKeys::Note(const std::string& key, const Result<NameFact>& answer) {
  if (answer) return;
  const MutexLock lock(mutex_);
  failures_.Add(key, answer.error(), clock_.Now());
}

std::optional<Error> FailedKeys::Find(const std::string& key) {
  const MutexLock lock(mutex_);
  const Error* const found =
      failures_.Find([&](const std::string& failed) { return failed == key; }, clock_.Now());
  return found != nullptr ? std::optional(*found) : std::nullopt;
}

Result<NameFact> NameQueries::Ask(const std::string& key, Deadline deadline) {
  const std::string prefix = key + "/";
  // No key begins so, and the store would refuse to look for one.
  if (prefix.size() > key_bytes_max_) return AskForFile(key, deadline);
  const auto asked = std::make_shared<std::promise<Result<bool>>>();  // it may be given up
  std::future<Result<bool>> is_directory = asked->get_future();
  pool_.Run(
      [this, asked, prefix, deadline] { asked->set_value(HasAnythingBelow(prefix, deadline)); });
  Result<NameFact> file = AskForFile(key, deadline);
  // It may wait for its turn behind listings that hang.
  if (is_directory.wait_until(deadline.at) != std::future_status::ready)
    return Fail(Errc::kTimedOut, Listing(prefix));
  ASSIGN_OR_RETURN(const bool below, is_directory.get());
  if (below) return NameFact{.kind = NameFact::Kind::kDirectory};
  return file;
}

Result<NameFact> NameQueries::AskForKnownFile(const std::string& key, Deadline deadline) {
  Result<NameFact> answer = AskForFile(key, deadline);
  if (answer && answer->kind == NameFact::Kind::kMissing) return Ask(key, deadline);
  return answer;
}

Result<NameFact> NameQueries::AskForFile(const std::string& key, Deadline deadline) {
  Result<ObjectInfo> object = store_.Head(key, deadline);
  if (object) return NameFact{.kind = NameFact::Kind::kFile, .object = *std::move(object)};
  if (object.error().code == Errc::kNotFound) return NameFact{};
  return tl::unexpected(std::move(object).error());
}

// A directory is there when a key begins with its prefix, its marker included.
Result<bool> NameQueries::HasAnythingBelow(const std::string& prefix, Deadline deadline) {
  if (deadline.Passed(clock_)) return Fail(Errc::kTimedOut, Listing(prefix));
  ASSIGN_OR_RETURN(
      const ListPage page,
      ListWithKeys(store_, {.prefix = prefix, .delimiter = {}, .from = {}, .max_keys = 1},
                   deadline));
  return !page.objects.empty() || !page.common_prefixes.empty();
}

}  // namespace shoal
