// A file with a secret in it, which an operator or an agent may replace at any time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace shoal {

// What tells one version of a file from another. Take it before reading: a change that comes
// in between is then seen the next time.
struct SecretFileState {
  ino_t inode = 0;
  off_t size_bytes = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;  // chmod changes this alone
  int error_number = 0;    // of stat(), if that failed

  friend bool operator==(const SecretFileState&, const SecretFileState&) = default;
};
SecretFileState StateOfSecretFile(const std::string& path);

// The whole of it. Errors give the reason and what to do, without the path. kDenied: it is not a
// regular file, open to others than its owner, owned by neither root nor this user, or longer
// than 64 KiB. kUnreachable: it is missing, or could not be read just now, which its state does
// not tell; look again.
Result<std::string> ReadSecretFile(const std::string& path);

}  // namespace shoal
