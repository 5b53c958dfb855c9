// A CacheStorage in front of a real one, with switches for trouble. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "cache/cache_storage.h"

namespace shoal {

// Shared with the test, since the storage goes into the volume under test.
class StorageTrouble {
 public:
  // The `index`-th call from now fails, counted from 0; with `from_then_on` all after it too.
  void FailCall(uint64_t index, Error error, bool from_then_on) {
    const std::scoped_lock lock(mutex_);
    call_count_ = 0;
    fail_at_ = index;
    fail_on_ = from_then_on;
    error_ = std::move(error);
  }
  void EndFailing() {
    const std::scoped_lock lock(mutex_);
    fail_at_.reset();
    spoiled_ = false;
    lost_ = false;
  }
  [[nodiscard]] uint64_t call_count() const {
    const std::scoped_lock lock(mutex_);
    return call_count_;
  }

  // Objects that are there cannot be read any more; those that are made anew can.
  void SpoilWhatIsThere() {
    const std::scoped_lock lock(mutex_);
    spoiled_ = true;
  }
  [[nodiscard]] bool spoiled() const {
    const std::scoped_lock lock(mutex_);
    return spoiled_;
  }
  // The medium has other bytes than were written, and says nothing. Only the kernel's pages are
  // right, for as long as they are there.
  void MakeMediumWrong() {
    const std::scoped_lock lock(mutex_);
    medium_is_wrong_ = true;
  }
  // Somebody maps them, say: they cannot be dropped.
  void HoldPages() {
    const std::scoped_lock lock(mutex_);
    holds_pages_ = true;
  }
  [[nodiscard]] bool holds_pages() const {
    const std::scoped_lock lock(mutex_);
    return holds_pages_;
  }
  void LetGoOfPages() {
    const std::scoped_lock lock(mutex_);
    pages_are_gone_ = true;
    holds_pages_ = false;
  }
  [[nodiscard]] bool pages_are_gone() const {
    const std::scoped_lock lock(mutex_);
    return pages_are_gone_;
  }
  [[nodiscard]] bool medium_is_wrong() const {
    const std::scoped_lock lock(mutex_);
    return medium_is_wrong_;
  }
  // The medium turns out not to have taken what was written. Nothing is in memory any more, unless
  // it `was_read_again`.
  void LoseWrites(bool was_read_again = false) {
    const std::scoped_lock lock(mutex_);
    lost_ = true;
    resident_ = was_read_again;
  }
  [[nodiscard]] bool resident() const {
    const std::scoped_lock lock(mutex_);
    return !lost_ || resident_;
  }
  [[nodiscard]] bool lost() const {
    const std::scoped_lock lock(mutex_);
    return lost_;
  }
  // As the kernel says it.
  [[nodiscard]] Result<> TellLost() const {
    return lost() ? Fail(Errc::kUnreachable, "writing out") : Result<>();
  }

  // Answers for the medium whether an object is mapped, once, on the thread that asks.
  void AnswerIsMapped(std::function<bool()> answer) {
    const std::scoped_lock lock(mutex_);
    is_mapped_ = std::move(answer);
  }
  [[nodiscard]] std::function<bool()> TakeIsMapped() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(is_mapped_, nullptr);
  }

  // At the next read of data that may wait for the medium, once, on the thread that reads.
  void AtTheNextRead(std::function<void()> what) {
    const std::scoped_lock lock(mutex_);
    at_read_ = std::move(what);
  }
  [[nodiscard]] std::function<void()> TakeAtRead() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(at_read_, nullptr);
  }

  // Every call waits from now on, until Thaw. ReadDataNow says that it would have to.
  void Freeze() {
    const std::scoped_lock lock(mutex_);
    frozen_ = true;
  }
  void Thaw() {
    const std::scoped_lock lock(mutex_);
    frozen_ = false;
    count_frozen_ = false;
    changed_.notify_all();
  }
  void WaitUntilStuck(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stuck_count_ >= count; });
  }

  // To count what is there takes until Thaw, and nothing else does.
  void FreezeCount() {
    const std::scoped_lock lock(mutex_);
    count_frozen_ = true;
  }
  void AwaitCount() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !count_frozen_; });
  }

  // For the storage: waits while frozen. An error: the call fails with it.
  Result<> Pass() {
    std::unique_lock lock(mutex_);
    ++stuck_count_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !frozen_; });
    --stuck_count_;
    const uint64_t index = call_count_++;
    if (fail_at_ && (index == *fail_at_ || (fail_on_ && index > *fail_at_)))
      return tl::unexpected(error_);
    return {};
  }
  [[nodiscard]] bool frozen() const {
    const std::scoped_lock lock(mutex_);
    return frozen_;
  }

 private:
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  uint64_t call_count_ = 0;
  std::optional<uint64_t> fail_at_;
  bool fail_on_ = false;
  Error error_{};
  bool spoiled_ = false;
  bool lost_ = false;
  bool resident_ = false;
  bool medium_is_wrong_ = false;
  bool holds_pages_ = false;
  bool pages_are_gone_ = false;
  std::function<bool()> is_mapped_;
  std::function<void()> at_read_;
  bool frozen_ = false;
  bool count_frozen_ = false;
  size_t stuck_count_ = 0;
};

class TroubledStorage final : public CacheStorage {
 public:
  TroubledStorage(std::unique_ptr<CacheStorage> real, std::shared_ptr<StorageTrouble> trouble)
      : real_(std::move(real)), trouble_(std::move(trouble)) {}

  Result<std::unique_ptr<StoredObject>> Open(const ObjectDigest& name) override {
    RETURN_IF_ERROR(trouble_->Pass());
    return Wrapped(real_->Open(name), /*was_there=*/true);
  }
  Result<std::unique_ptr<StoredObject>> Create(const ObjectDigest& name,
                                               uint64_t size_bytes) override {
    RETURN_IF_ERROR(trouble_->Pass());
    return Wrapped(real_->Create(name, size_bytes), /*was_there=*/false);
  }
  Result<> Remove(const ObjectDigest& name) override {
    RETURN_IF_ERROR(trouble_->Pass());
    return real_->Remove(name);
  }
  bool IsMapped(const ObjectDigest& name) override {
    const std::function<bool()> answer = trouble_->TakeIsMapped();
    return answer ? answer() : real_->IsMapped(name);
  }
  size_t memory_bytes() override { return real_->memory_bytes(); }
  Result<> Quarantine(const ObjectDigest& name) override {
    RETURN_IF_ERROR(trouble_->Pass());
    return real_->Quarantine(name);
  }
  Result<> Scan(const std::function<bool(const Found&)>& visit) override {
    RETURN_IF_ERROR(trouble_->Pass());
    return real_->Scan(visit);
  }
  Result<> ScanAndClean(const std::function<bool(const Found&)>& visit) override {
    trouble_->AwaitCount();
    RETURN_IF_ERROR(trouble_->Pass());
    return real_->ScanAndClean(visit);
  }
  Result<> MarkUsed(const ObjectDigest& name) override {
    RETURN_IF_ERROR(trouble_->Pass());
    return real_->MarkUsed(name);
  }
  Result<> SyncAll() override {
    RETURN_IF_ERROR(trouble_->Pass());
    RETURN_IF_ERROR(trouble_->TellLost());
    return real_->SyncAll();
  }
  Result<Room> GetRoom() override {
    RETURN_IF_ERROR(trouble_->Pass());
    return real_->GetRoom();
  }
  [[nodiscard]] uint64_t own_block_count() override { return real_->own_block_count(); }
  [[nodiscard]] size_t index_count() const override { return real_->index_count(); }
  uint64_t BlocksToPutInOrder(size_t index) override { return real_->BlocksToPutInOrder(index); }
  Result<> PutInOrder(size_t index, uint64_t block_count_max) override {
    RETURN_IF_ERROR(trouble_->Pass());
    return real_->PutInOrder(index, block_count_max);
  }
  Result<> Resize(uint64_t capacity_bytes) override { return real_->Resize(capacity_bytes); }
  [[nodiscard]] const std::string& name() const override { return real_->name(); }

 private:
  class Object final : public StoredObject {
   public:
    Object(std::unique_ptr<StoredObject> real, std::shared_ptr<StorageTrouble> trouble,
           bool was_there)
        : real_(std::move(real)), trouble_(std::move(trouble)), was_there_(was_there) {}
    Result<> ReadData(uint64_t offset, std::span<std::byte> out) override {
      RETURN_IF_ERROR(trouble_->Pass());
      if (const std::function<void()> what = trouble_->TakeAtRead()) what();
      if (was_there_ && trouble_->spoiled()) return Fail(Errc::kUnreachable, "a bad spot");
      RETURN_IF_ERROR(real_->ReadData(offset, out));
      if (was_there_ && trouble_->medium_is_wrong() && !has_pages())
        for (std::byte& byte : out) byte = ~byte;
      return {};
    }
    bool ReadDataNow(uint64_t offset, std::span<std::byte> out) override {
      if (trouble_->frozen() || !trouble_->resident() || (was_there_ && trouble_->spoiled()))
        return false;
      if (was_there_ && trouble_->medium_is_wrong() && !has_pages()) return false;
      return trouble_->Pass() && real_->ReadDataNow(offset, out);
    }
    Result<> WriteData(uint64_t offset, std::span<const std::byte> bytes) override {
      RETURN_IF_ERROR(trouble_->Pass());
      return real_->WriteData(offset, bytes);
    }
    Result<> ReadMeta(uint64_t offset, std::span<std::byte> out) override {
      RETURN_IF_ERROR(trouble_->Pass());
      return real_->ReadMeta(offset, out);
    }
    Result<> WriteMeta(uint64_t offset, std::span<const std::byte> bytes) override {
      RETURN_IF_ERROR(trouble_->Pass());
      return real_->WriteMeta(offset, bytes);
    }
    Result<uint64_t> NextMetaData(uint64_t offset) override {
      RETURN_IF_ERROR(trouble_->Pass());
      return real_->NextMetaData(offset);
    }
    Result<uint64_t> DataBytes() override {
      RETURN_IF_ERROR(trouble_->Pass());
      return real_->DataBytes();
    }
    Result<uint64_t> BlockCount() override {
      RETURN_IF_ERROR(trouble_->Pass());
      return real_->BlockCount();
    }
    Result<> Sync() override {
      RETURN_IF_ERROR(trouble_->Pass());
      return real_->Sync();
    }
    Result<> ConfirmWritten() override {
      RETURN_IF_ERROR(trouble_->Pass());
      if (trouble_->lost() && !was_told_.exchange(true)) return trouble_->TellLost();
      return real_->ConfirmWritten();
    }
    bool DropPages(bool waits) override {
      if (trouble_->holds_pages()) return false;
      dropped_ = true;
      return real_->DropPages(waits);
    }
    [[nodiscard]] int data_fd() const override { return real_->data_fd(); }

   private:
    [[nodiscard]] bool has_pages() const { return !dropped_ && !trouble_->pages_are_gone(); }

    const std::unique_ptr<StoredObject> real_;
    const std::shared_ptr<StorageTrouble> trouble_;
    const bool was_there_;
    std::atomic<bool> dropped_{false};
    std::atomic<bool> was_told_{false};  // of what was lost: the kernel says it once
  };

  Result<std::unique_ptr<StoredObject>> Wrapped(Result<std::unique_ptr<StoredObject>> real,
                                                bool was_there) {
    if (!real) return real;
    return std::make_unique<Object>(*std::move(real), trouble_, was_there);
  }

  const std::unique_ptr<CacheStorage> real_;
  const std::shared_ptr<StorageTrouble> trouble_;
};

}  // namespace shoal
