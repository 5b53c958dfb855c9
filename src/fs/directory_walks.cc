#include "fs/directory_walks.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "fs/inode_table.h"

namespace shoal {
namespace {

// More take too long to sort while a reader waits.
constexpr size_t kSortedCountMax = 32'768;
// Read so many files, and in no order of their names: perhaps in that of the inodes.
constexpr uint64_t kUnexplainedReads = 4;

constexpr Duration kSweepEach = std::chrono::seconds(1);

std::string_view DirectoryOf(std::string_view key) {
  return key.substr(0, key.rfind('/') + 1);  // of the bucket's root: ""
}

}  // namespace

void DirectoryWalks::Listed(const std::shared_ptr<DirectoryListing>& listing) {
  Readers gone;  // freed after the lock, as everywhere below
  const MutexLock lock(mutex_);
  Sweep(gone);
  const auto found = directories_.find(listing->prefix());
  if (found != directories_.end()) {
    Directory& known = *found->second;
    // Somebody else looks at what is being walked through: the walk goes on.
    if (known.listing == listing || !known.foreseen.empty()) {
      known.used_at = clock_.Now();
      return;
    }
    Remove(found, gone);
  }
  auto directory = std::make_shared<Directory>(listing);
  directory->used_at = clock_.Now();
  directories_.emplace(listing->prefix(), std::move(directory));
  MakeRoom(gone);
}

std::shared_ptr<DirectoryWalks::Step> DirectoryWalks::Open(const ObjectVersion& version) {
  if (version.size_bytes == 0 || version.size_bytes > ReadEngine::kForeseenBytesMax) return nullptr;
  std::shared_ptr<Directory> directory = Find(DirectoryOf(version.key));
  if (directory == nullptr) return nullptr;
  const std::optional<size_t> index = directory->listing->IndexOf(
      std::string_view(version.key).substr(directory->listing->prefix().size()));
  if (!index) return nullptr;
  return std::make_shared<Step>(std::move(directory), *index);
}

std::shared_ptr<DirectoryWalks::Directory> DirectoryWalks::Find(std::string_view prefix) {
  for (const bool again : {false, true}) {
    {
      Readers gone;
      const MutexLock lock(mutex_);
      Sweep(gone);
      const auto found = directories_.find(prefix);
      if (found != directories_.end() && !found->second->listing->disowned()) {
        found->second->used_at = clock_.Now();
        return found->second;
      }
      if (found != directories_.end()) Remove(found, gone);
    }
    if (again) break;
    const std::shared_ptr<DirectoryListing> kept = names_.FindListing(std::string(prefix));
    if (kept == nullptr) break;
    Listed(kept);
  }
  return nullptr;
}

void DirectoryWalks::OnRead(Step& step) {
  if (step.was_read_.exchange(true, std::memory_order_relaxed)) return;
  Directory& directory = *step.directory_;
  std::vector<Wanted> wanted;
  bool sort_by_inode = false;
  {
    Readers gone;
    const MutexLock lock(mutex_);
    if (directory.removed) return;
    directory.used_at = clock_.Now();
    ++directory.read_count;
    LetGo(directory, step.index_, gone);  // its reader has it open
    Show(directory, step.index_, wanted, gone);
    if (directory.read_count >= kUnexplainedReads && !directory.by_name.detector.finds_any() &&
        directory.listing->complete() && directory.listing->entry_count() <= kSortedCountMax)
      sort_by_inode = !std::exchange(directory.asked_for_inodes, true);
  }
  Fetch(directory, wanted);
  if (!sort_by_inode) return;
  Order sorted = ByInode(*directory.listing);
  const MutexLock lock(mutex_);
  directory.by_inode = std::move(sorted);
}

void DirectoryWalks::Clear() {
  Readers gone;
  const MutexLock lock(mutex_);
  while (!directories_.empty()) Remove(directories_.begin(), gone);
}

void DirectoryWalks::Show(Directory& directory, size_t index, std::vector<Wanted>& wanted,
                          Readers& gone) {
  Order& by_name = directory.by_name;
  if (!directory.by_inode) return Show(directory, by_name, index, wanted, gone);
  Order& by_inode = *directory.by_inode;
  if (!by_inode.detector.finds_proven()) Show(directory, by_name, index, wanted, gone);
  if (!by_name.detector.finds_proven()) Show(directory, by_inode, index, wanted, gone);
  // What the wrong one wanted is kept: in another order it will be read all the same.
  if (by_inode.detector.finds_proven()) {
    by_name.detector.EndAll();
  } else if (by_name.detector.finds_proven()) {
    by_inode.detector.EndAll();
  }
}

void DirectoryWalks::Show(Directory& directory, Order& order, size_t index,
                          std::vector<Wanted>& wanted, Readers& gone) {
  const WalkDetector::Finding finding = order.detector.OnRead(
      order.PlaceOf(index), static_cast<WalkDetector::Place>(directory.listing->entry_count()));
  for (const WalkDetector::Place unread : finding.unread)
    LetGo(directory, order.IndexOf(unread), gone);
  for (size_t i = 0; i < finding.wanted.size(); ++i) {
    const WalkDetector::Place next = finding.wanted[i];
    if (foreseen_count_ >= kForeseenCountMax)
      return order.detector.OnNoRoom(std::span(finding.wanted).subspan(i));
    const size_t next_index = order.IndexOf(next);
    std::optional<ListedEntry> entry = directory.listing->EntryAt(next_index);
    const uint64_t size_bytes =
        !entry || entry->is_directory ? 0 : entry->object.version.size_bytes;
    if (size_bytes == 0 || size_bytes > ReadEngine::kForeseenBytesMax ||
        entry->object.storage_class != StorageClass::kReadable ||
        !directory.foreseen.emplace(next_index, nullptr).second) {
      order.detector.OnNothingThere(next);
      continue;
    }
    ++foreseen_count_;
    wanted.push_back({&order, next, next_index, std::move(entry->object.version)});
  }
}

void DirectoryWalks::Fetch(Directory& directory, const std::vector<Wanted>& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    std::shared_ptr<ObjectReader> reader = engine_.Foresee(wanted[i].version);
    Readers gone;
    const MutexLock lock(mutex_);
    if (reader != nullptr) {
      const auto slot = directory.foreseen.find(wanted[i].index);
      // It may have been read by now, or given up.
      if (slot != directory.foreseen.end() && slot->second == nullptr) slot->second.swap(reader);
      gone.push_back(std::move(reader));
      continue;
    }
    for (size_t rest = i; rest < wanted.size();) {
      Order& order = *wanted[rest].order;
      std::vector<WalkDetector::Place> without_room;
      for (; rest < wanted.size() && wanted[rest].order == &order; ++rest)
        without_room.push_back(wanted[rest].place);
      order.detector.OnNoRoom(without_room);
    }
    for (size_t rest = i; rest < wanted.size(); ++rest) LetGo(directory, wanted[rest].index, gone);
    return;
  }
}

DirectoryWalks::Order DirectoryWalks::ByInode(const DirectoryListing& listing) {
  std::vector<InodeId> inodes;
  inodes.reserve(listing.entry_count());
  while (const std::optional<ListedEntry> entry = listing.EntryAt(inodes.size()))
    inodes.push_back(entry->is_directory
                         ? InodeTable::NumberOf(listing.prefix() + entry->name + "/")
                         : InodeTable::NumberOf(entry->object));
  Order order;
  order.index_of.resize(inodes.size());
  std::iota(order.index_of.begin(), order.index_of.end(), 0);
  std::ranges::sort(order.index_of, {}, [&](uint32_t index) { return inodes[index]; });
  order.place_of.resize(inodes.size());
  for (uint32_t place = 0; place < order.index_of.size(); ++place)
    order.place_of[order.index_of[place]] = place;
  return order;
}

size_t DirectoryWalks::Order::IndexOf(WalkDetector::Place place) const {
  return index_of.empty() ? static_cast<size_t>(place) : index_of[static_cast<size_t>(place)];
}

WalkDetector::Place DirectoryWalks::Order::PlaceOf(size_t index) const {
  return place_of.empty() ? static_cast<WalkDetector::Place>(index) : place_of[index];
}

void DirectoryWalks::Sweep(Readers& gone) {
  const Instant now = clock_.Now();
  if (now - swept_at_ < kSweepEach) return;
  swept_at_ = now;
  for (auto row = directories_.begin(); row != directories_.end();) {
    const auto next = std::next(row);
    if (now - row->second->used_at > kKeptFor) Remove(row, gone);
    row = next;
  }
}

void DirectoryWalks::MakeRoom(Readers& gone) {
  size_t listing_bytes = 0;
  for (const auto& [prefix, directory] : directories_)
    listing_bytes += directory->listing->memory_bytes();
  while (directories_.size() > 1 &&
         (directories_.size() > kDirectoryCountMax || listing_bytes > kListingBytesMax)) {
    const auto oldest = std::ranges::min_element(
        directories_, {}, [](const auto& row) { return row.second->used_at; });
    listing_bytes -= std::min(listing_bytes, oldest->second->listing->memory_bytes());
    Remove(oldest, gone);
  }
}

void DirectoryWalks::Remove(Directories::iterator row, Readers& gone) {
  Directory& directory = *row->second;
  directory.removed = true;
  while (!directory.foreseen.empty()) LetGo(directory, directory.foreseen.begin()->first, gone);
  directories_.erase(row);
}

void DirectoryWalks::LetGo(Directory& directory, size_t index, Readers& gone) {
  const auto slot = directory.foreseen.find(index);
  if (slot == directory.foreseen.end()) return;
  gone.push_back(std::move(slot->second));
  directory.foreseen.erase(slot);
  --foreseen_count_;
}

}  // namespace shoal
