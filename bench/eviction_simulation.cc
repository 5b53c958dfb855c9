// Hit ratios of eviction policies on made-up reads, as a table for
// docs/decisions/0006-eviction.md. CacheIndex is the real one; LRU and SIEVE are written
// here as plainly as can be. Build it by name: it is not part of `all`.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/cache_index.h"

namespace shoal {
namespace {

struct Object {
  uint32_t id;
  uint32_t block_count;
};

class Policy {
 public:
  virtual ~Policy() = default;
  virtual bool Use(const Object& object) = 0;  // false: it is not here
  virtual void Add(const Object& object) = 0;
  virtual void Evict() = 0;
  [[nodiscard]] virtual uint64_t total_blocks() const = 0;
};

class S3Fifo : public Policy {
 public:
  bool Use(const Object& object) override {
    const ObjectDigest digest = DigestOf(object.id);
    if (!index_.Contains(digest)) return false;
    index_.Touch(digest);
    return true;
  }
  void Add(const Object& object) override { index_.Put(DigestOf(object.id), object.block_count); }
  void Evict() override {
    index_.Remove(index_.Victim([](const ObjectDigest&) { return false; }).value());
  }
  [[nodiscard]] uint64_t total_blocks() const override { return index_.total_blocks(); }

 private:
  static ObjectDigest DigestOf(uint32_t id) { return ObjectDigest::Of(std::to_string(id)); }
  CacheIndex index_;
};

class Listed : public Policy {
 public:
  void Add(const Object& object) override {
    order_.push_front({object, false});
    where_[object.id] = order_.begin();
    total_blocks_ += object.block_count;
  }
  [[nodiscard]] uint64_t total_blocks() const override { return total_blocks_; }

 protected:
  struct Entry {
    Object object;
    bool used;
  };
  void Drop(std::list<Entry>::iterator entry) {
    total_blocks_ -= entry->object.block_count;
    where_.erase(entry->object.id);
    order_.erase(entry);
  }
  std::list<Entry> order_;  // the newest first
  std::unordered_map<uint32_t, std::list<Entry>::iterator> where_;
  uint64_t total_blocks_ = 0;
};

class Lru : public Listed {
 public:
  bool Use(const Object& object) override {
    const auto found = where_.find(object.id);
    if (found == where_.end()) return false;
    order_.splice(order_.begin(), order_, found->second);
    return true;
  }
  void Evict() override { Drop(std::prev(order_.end())); }
};

class Sieve : public Listed {
 public:
  bool Use(const Object& object) override {
    const auto found = where_.find(object.id);
    if (found == where_.end()) return false;
    found->second->used = true;
    return true;
  }
  void Evict() override {
    auto at = hand_ == order_.end() ? std::prev(order_.end()) : hand_;
    while (at->used) {
      at->used = false;
      at = at == order_.begin() ? std::prev(order_.end()) : std::prev(at);
    }
    hand_ = at == order_.begin() ? order_.end() : std::prev(at);
    Drop(at);
  }

 private:
  std::list<Entry>::iterator hand_ = order_.end();
};

// Reads in the order they happen; those of `counted` are what the ratio is about.
struct Workload {
  std::string name;
  uint64_t capacity_blocks = 0;
  std::vector<Object> reads;
  std::vector<bool> counted;

  void Read(const Object& object, bool count) {
    reads.push_back(object);
    counted.push_back(count);
  }
};

using Chance = std::mt19937_64;

std::vector<Object> ObjectsOf(uint32_t first_id, uint32_t count, bool mixed, Chance& chance) {
  std::uniform_real_distribution<double> exponent(0, 18);  // 4 KiB to 1 GiB
  std::vector<Object> objects;
  for (uint32_t i = 0; i < count; ++i) {
    const double blocks = mixed ? std::exp2(exponent(chance)) : 256;
    objects.push_back({first_id + i, static_cast<uint32_t>(blocks)});
  }
  return objects;
}

uint64_t BlocksOf(const std::vector<Object>& objects) {
  return std::accumulate(objects.begin(), objects.end(), uint64_t{0},
                         [](uint64_t sum, const Object& o) { return sum + o.block_count; });
}

class Zipf {
 public:
  Zipf(size_t count, double skew) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) cumulative_.push_back(sum += std::pow(static_cast<double>(i + 1), -skew));
  }
  size_t operator()(Chance& chance) const {
    const double at = std::uniform_real_distribution<double>(0, cumulative_.back())(chance);
    const auto found = std::lower_bound(cumulative_.begin(), cumulative_.end(), at);
    return static_cast<size_t>(found - cumulative_.begin());
  }

 private:
  std::vector<double> cumulative_;
};

constexpr uint32_t kObjects = 100'000;
constexpr int kReads = 1'000'000;

// `scan`: in the second half each read is followed by one of a scan over ten times the
// capacity, which is not counted. `shift`: in the second half other objects are popular.
Workload Popular(std::string name, double skew, bool mixed, bool scan, bool shift) {
  Chance chance(1);
  Workload work{.name = std::move(name), .reads = {}, .counted = {}};
  std::vector<Object> objects = ObjectsOf(0, kObjects, mixed, chance);
  work.capacity_blocks = BlocksOf(objects) / 10;
  const std::vector<Object> scanned = ObjectsOf(kObjects, kObjects, mixed, chance);
  const Zipf zipf(objects.size(), skew);
  for (int i = 0; i < kReads; ++i) {
    const bool second_half = i >= kReads / 2;
    if (shift && i == kReads / 2) std::shuffle(objects.begin(), objects.end(), chance);
    work.Read(objects[zipf(chance)], second_half);
    const auto scan_at = static_cast<size_t>(i - kReads / 2);
    if (scan && second_half && scan_at < scanned.size()) work.Read(scanned[scan_at], false);
  }
  return work;
}

Workload Epochs(std::string name, bool shuffled, bool mixed) {
  Chance chance(2);
  Workload work{.name = std::move(name), .reads = {}, .counted = {}};
  std::vector<Object> objects = ObjectsOf(0, 12'000, mixed, chance);
  work.capacity_blocks = BlocksOf(objects) * 10 / 12;
  for (int epoch = 0; epoch < 20; ++epoch) {
    if (shuffled) std::shuffle(objects.begin(), objects.end(), chance);
    for (const Object& object : objects) work.Read(object, epoch > 0);
  }
  return work;
}

// Percent of the counted reads, and of their bytes, that were hits.
std::string HitRatio(const Workload& work, std::unique_ptr<Policy> policy) {
  uint64_t reads = 0, hits = 0, blocks = 0, hit_blocks = 0;
  for (size_t i = 0; i < work.reads.size(); ++i) {
    const Object& object = work.reads[i];
    const bool hit = policy->Use(object);
    if (!hit) {
      while (policy->total_blocks() + object.block_count > work.capacity_blocks) policy->Evict();
      policy->Add(object);
    }
    if (!work.counted[i]) continue;
    ++reads;
    blocks += object.block_count;
    if (hit) ++hits, hit_blocks += object.block_count;
  }
  const auto percent = [](uint64_t part, uint64_t whole) {
    return 100 * static_cast<double>(part) / static_cast<double>(whole);
  };
  return fmt::format("{:.1f} / {:.1f}", percent(hits, reads), percent(hit_blocks, blocks));
}

void Run() {
  const std::vector<Workload> workloads = {
      Popular("Zipf 0.8", 0.8, false, false, false),
      Popular("Zipf 1.0", 1.0, false, false, false),
      Popular("Zipf 0.8, mixed sizes", 0.8, true, false, false),
      Popular("Zipf 1.0, mixed sizes", 1.0, true, false, false),
      Popular("Zipf 1.0 beside a scan of 10 x the capacity", 1.0, false, true, false),
      Popular("the same, mixed sizes", 1.0, true, true, false),
      Popular("Zipf 1.0, then others are popular", 1.0, false, false, true),
      Epochs("epochs over 1.2 x the capacity, fixed order", false, false),
      Epochs("epochs, new order each time", true, false),
      Epochs("epochs, fixed order, mixed sizes", false, true),
      Epochs("epochs, new order, mixed sizes", true, true),
  };
  fmt::print("| reads | LRU | SIEVE | S3-FIFO |\n|---|---|---|---|\n");
  for (const Workload& work : workloads) {
    fmt::print("| {} | {} | {} | {} |\n", work.name, HitRatio(work, std::make_unique<Lru>()),
               HitRatio(work, std::make_unique<Sieve>()),
               HitRatio(work, std::make_unique<S3Fifo>()));
  }
}

}  // namespace
}  // namespace shoal

int main() {
  shoal::Run();
}
