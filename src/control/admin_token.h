// The token of the admin port, in a file that may be replaced at any time.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/secret_file.h"

namespace shoal {

// Thread-safe.
class AdminToken {
 public:
  // "": no token is demanded, for ever. kInvalid, naming the file: ReadSecretFile's reasons, or
  // what is in it is not one word of 16 to 4096 printable characters.
  static Result<std::unique_ptr<AdminToken>> Open(const std::string& path, const Clock& clock);

  // Looks whether the file changed, once a second at most. One that is of no use then is
  // warned of once, and the token before stays in force; one that cannot be read just now is
  // looked at again.
  std::string Current();

 private:
  AdminToken(std::string path, const Clock& clock, SecretFileState seen, std::string token);

  const std::string path_;
  const Clock& clock_;

  Mutex mutex_;
  Instant looked_at_ GUARDED_BY(mutex_);
  SecretFileState seen_ GUARDED_BY(mutex_);
  std::string unreadable_ GUARDED_BY(mutex_);  // the last reason, which was warned of
  std::string token_ GUARDED_BY(mutex_);
};

}  // namespace shoal
