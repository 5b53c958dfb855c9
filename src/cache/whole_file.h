// An object version that lies whole in one ordinary file, every byte checked: the kernel
// can serve it by itself (FUSE passthrough).
#pragma once

namespace shoal {

// Immutable. Who holds it keeps the file's room in the cache taken: an evicted file's
// blocks come back when the last holder, the kernel included, lets go.
class WholeFile {
 public:
  virtual ~WholeFile() = default;
  // Open for reading, for as long as this lives. The file's size is the object's, and
  // its bytes never change, not even by eviction.
  [[nodiscard]] virtual int fd() const = 0;
  // Whether what was read of it until now may be believed; false, if the medium is known to have
  // lost something. Does not wait. For who makes something else of the bytes.
  [[nodiscard]] virtual bool MayBeBelieved() const { return true; }
};

}  // namespace shoal
