#include "fs/verified_names.h"

namespace shoal {
namespace {

// Rows are useful for seconds; past this many the old ones are swept out.
constexpr size_t kRowsMax = 4096;

}  // namespace

VerifiedNames::Row& VerifiedNames::Put(const ObjectInfo& object) {
  const Instant now = clock_.Now();
  if (rows_.size() >= kRowsMax) {
    std::erase_if(rows_,
                  [&](const auto& row) { return now - row.second.verified.as_of > kKeptFor; });
    if (rows_.size() >= kRowsMax) rows_.clear();  // costs requests, never truth
  }
  Row& row = rows_[object.version.key];
  if (row.verified.object.version != object.version) row.credits = 0;
  row.verified = {object, now};
  return row;
}

void VerifiedNames::AddWithCredit(const ObjectInfo& object) {
  const MutexLock lock(mutex_);
  ++Put(object).credits;
}

void VerifiedNames::AddReplaced(const ObjectInfo& object) {
  const MutexLock lock(mutex_);
  Row& row = Put(object);
  ++row.credits;
  row.keep_credit_once = true;
}

void VerifiedNames::AddGone(std::string_view key) {
  const MutexLock lock(mutex_);
  const ObjectInfo nothing{.version = {.key = std::string(key), .etag = {}}};
  Put(nothing).verified.gone = true;
}

std::optional<VerifiedNames::Verified> VerifiedNames::TakeForLookup(const std::string& key) {
  const MutexLock lock(mutex_);
  const auto found = rows_.find(key);
  if (found == rows_.end()) return std::nullopt;
  Row& row = found->second;
  const Duration age = clock_.Now() - row.verified.as_of;
  if (age > kKeptFor) {
    rows_.erase(found);
    return std::nullopt;
  }
  if (!row.keep_credit_once || age > kLookedUpAgainWithin) row.credits = 0;
  row.keep_credit_once = false;
  return row.verified;
}

bool VerifiedNames::SpendCredit(const ObjectVersion& version) {
  const MutexLock lock(mutex_);
  const auto found = rows_.find(version.key);
  if (found == rows_.end()) return false;
  Row& row = found->second;
  if (row.credits == 0 || row.verified.object.version != version ||
      row.verified.object.storage_class != StorageClass::kReadable ||
      clock_.Now() - row.verified.as_of > kCreditValidFor)
    return false;
  --row.credits;
  return true;
}

void VerifiedNames::DropCredits(const std::string& key) {
  const MutexLock lock(mutex_);
  const auto found = rows_.find(key);
  if (found != rows_.end()) found->second.credits = 0;
}

void VerifiedNames::Clear() {
  const MutexLock lock(mutex_);
  rows_.clear();
}

}  // namespace shoal
