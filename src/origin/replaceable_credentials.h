// Keys of a source whose place another may take at any time. Thread-safe.
#pragma once

#include <memory>
#include <utility>

#include "base/mutex.h"
#include "origin/credentials.h"

namespace shoal {

class ReplaceableCredentials final : public CredentialSource {
 public:
  explicit ReplaceableCredentials(std::shared_ptr<CredentialSource> source)
      : source_(std::move(source)) {}

  // What is asked from now on; requests that are signed go on with the keys they have.
  void Replace(std::shared_ptr<CredentialSource> source) {
    const MutexLock lock(mutex_);
    source_.swap(source);  // the one before goes after the lock
  }

  Result<AccessKeys> Current() override {
    std::shared_ptr<CredentialSource> source;
    {
      const MutexLock lock(mutex_);
      source = source_;
    }
    return source->Current();
  }

 private:
  Mutex mutex_;
  std::shared_ptr<CredentialSource> source_ GUARDED_BY(mutex_);
};

}  // namespace shoal
