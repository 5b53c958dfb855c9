#include "fs/directory_walks.h"

#include <algorithm>
#include <span>
#include <utility>

namespace shoal {
namespace {

// More take too long to sort while a reader waits.
constexpr size_t kSortedCountMax = 20'000;
// So many files were read, and less than half of them foreseen: perhaps it is another order.
constexpr uint64_t kReadsToExplain = 4;
// Of each other order: a random one shall not cost three times as much.
constexpr size_t kOtherOrderStakes = 2;

// Who did not read for so long may have ended: others need the room.
constexpr Duration kPause = std::chrono::seconds(2);

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
  bool add_orders = false;
  {
    Readers gone;
    const MutexLock lock(mutex_);
    if (directory.removed) return;
    directory.used_at = clock_.Now();
    ++directory.read_count;
    LetGo(directory, step.index_, gone);  // its reader has it open
    NoteRead(directory, step.index_);
    Show(directory, step.index_, wanted, gone);
    const uint64_t foreseen_count = directory.orders.front().detector.foreseen_count();
    if (directory.read_count >= kReadsToExplain && foreseen_count * 2 < directory.read_count &&
        directory.listing->complete() && directory.listing->entry_count() <= kSortedCountMax)
      add_orders = !std::exchange(directory.asked_for_orders, true);
  }
  Fetch(directory, wanted);
  if (add_orders) AddOrders(directory);
}

void DirectoryWalks::NoteRead(Directory& directory, size_t index) {
  // Read again: another pass begins, which may go over all of them.
  if (std::ranges::find(directory.read, index) != directory.read.end()) directory.read.clear();
  directory.read.push_back(index);
  if (directory.read.size() > kReadMax) directory.read.pop_front();
}

void DirectoryWalks::AddOrders(Directory& directory) {
  DirectoryOrder by_inode = DirectoryOrder::ByInode(*directory.listing);
  DirectoryOrder by_number = DirectoryOrder::ByNumber(*directory.listing);
  const MutexLock lock(mutex_);
  for (DirectoryOrder* const order : {&by_inode, &by_number})
    directory.orders.push_back(
        {.order = std::move(*order), .detector = WalkDetector(kOtherOrderStakes)});
}

void DirectoryWalks::Clear() {
  Readers gone;
  const MutexLock lock(mutex_);
  while (!directories_.empty()) Remove(directories_.begin(), gone);
}

void DirectoryWalks::Show(Directory& directory, size_t index, std::vector<Wanted>& wanted,
                          Readers& gone) {
  const auto is_proven = [](const Order& order) { return order.detector.finds_proven(); };
  auto proven = std::ranges::find_if(directory.orders, is_proven);
  if (proven != directory.orders.end()) return Show(directory, *proven, index, wanted, gone);
  for (Order& order : directory.orders) Show(directory, order, index, wanted, gone);
  proven = std::ranges::find_if(directory.orders, is_proven);
  if (proven == directory.orders.end()) return;
  for (Order& order : directory.orders)
    if (&order != &*proven) LeaveOver(directory, order, order.detector.EndAll(), gone);
}

void DirectoryWalks::Show(Directory& directory, Order& order, size_t index,
                          std::vector<Wanted>& wanted, Readers& gone) {
  const WalkDetector::Finding finding =
      order.detector.OnRead(order.order.PlaceOf(index),
                            static_cast<WalkDetector::Place>(directory.listing->entry_count()));
  LeaveOver(directory, order, finding.unread, gone);
  for (size_t i = 0; i < finding.wanted.size(); ++i) {
    const WalkDetector::Place next = finding.wanted[i];
    if (foreseen_count_ >= kForeseenCountMax) Reclaim(gone);
    if (foreseen_count_ >= kForeseenCountMax)
      return order.detector.OnNoRoom(std::span(finding.wanted).subspan(i));
    const size_t next_index = order.order.IndexOf(next);
    std::optional<ListedEntry> entry = directory.listing->EntryAt(next_index);
    const uint64_t size_bytes =
        !entry || entry->is_directory ? 0 : entry->object.version.size_bytes;
    if (size_bytes == 0 || size_bytes > ReadEngine::kForeseenBytesMax ||
        entry->object.storage_class != StorageClass::kReadable ||
        std::ranges::find(directory.read, next_index) != directory.read.end() ||
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
    Reclaim(gone);
    return;
  }
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

// What may be needed least, all over.
void DirectoryWalks::Reclaim(Readers& gone) {
  const Instant now = clock_.Now();
  for (const auto& [prefix, directory] : directories_) {
    while (!directory->left_over.empty()) LetGo(*directory, directory->left_over.front(), gone);
    if (now - directory->used_at < kPause) continue;
    while (!directory->foreseen.empty())
      LetGo(*directory, directory->foreseen.begin()->first, gone);
  }
}

void DirectoryWalks::MakeRoom(Readers& gone) {
  uint64_t listing_bytes = 0;
  const bool may_be_too_large = memory_.used_bytes() > listing_bytes_max_;  // else these take less
  if (directories_.size() <= kDirectoryCountMax && !may_be_too_large) return;
  struct Victim {
    Instant used_at;
    uint64_t bytes;
    Directories::iterator row;
  };
  std::vector<Victim> victims;
  for (auto row = directories_.begin(); row != directories_.end(); ++row) {
    victims.push_back({row->second->used_at, row->second->listing->left_over_bytes(), row});
    listing_bytes += victims.back().bytes;
  }
  std::ranges::sort(victims, {}, &Victim::used_at);
  for (const Victim& victim : victims) {
    const bool too_many = directories_.size() > kDirectoryCountMax;
    if (directories_.size() == 1 || (!too_many && listing_bytes <= listing_bytes_max_)) return;
    if (!too_many && victim.bytes == 0) continue;
    listing_bytes -= victim.bytes;
    Remove(victim.row, gone);
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
  std::erase(directory.left_over, index);
  --foreseen_count_;
}

void DirectoryWalks::LeaveOver(Directory& directory, const Order& order,
                               std::span<const WalkDetector::Place> places, Readers& gone) {
  for (const WalkDetector::Place place : places) {
    const size_t index = order.order.IndexOf(place);
    if (directory.foreseen.contains(index)) directory.left_over.push_back(index);
    if (directory.left_over.size() > kLeftOverMax)
      LetGo(directory, directory.left_over.front(), gone);
  }
}

}  // namespace shoal
