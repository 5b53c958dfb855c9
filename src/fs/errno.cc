#include "fs/errno.h"

#include <cerrno>

namespace shoal {

int ToErrno(Errc code) {
  switch (code) {
    case Errc::kNotFound:
      return ENOENT;
    case Errc::kDenied:
    // Nothing is wrong with the disk or the request; as with a missing right, somebody
    // has to act at the store first. The log names the storage class.
    case Errc::kArchived:
      return EACCES;
    case Errc::kInvalid:
      return EINVAL;
    case Errc::kUnsupported:
      return ENOTSUP;
    case Errc::kNotDirectory:
      return ENOTDIR;
    case Errc::kIsDirectory:
      return EISDIR;
    case Errc::kReadOnly:
      return EROFS;
    case Errc::kChanged:
      return ESTALE;
    // Retries are spent by now. EAGAIN would have programs spin on a blocking file.
    case Errc::kBusy:
    case Errc::kUnreachable:
    // The program asked for nothing that is wrong, and no name is missing.
    case Errc::kUnusable:
    case Errc::kCorrupt:
      return EIO;
    case Errc::kTimedOut:
      return ETIMEDOUT;
    case Errc::kInterrupted:
      return EINTR;
    case Errc::kNoSpace:
      return ENOSPC;
  }
  return EIO;
}

}  // namespace shoal
