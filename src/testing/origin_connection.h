// One client's connection to the embedded origin: reads requests, has them answered,
// writes the answers, and is where latency, rates and faults take effect.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "testing/origin_authentication.h"
#include "testing/origin_files.h"
#include "testing/origin_service.h"
#include "testing/origin_statistics.h"
#include "testing/origin_trouble.h"

namespace shoal::embedded {

// Tells every wait of the server that it stops. Thread-safe.
class StopSignal {
 public:
  StopSignal();
  void Raise();
  [[nodiscard]] bool raised() const;
  // True once raised, false when `wait` is over.
  [[nodiscard]] bool WaitFor(Duration wait) const;
  // Whether bytes or the end come from `socket`, before it is raised and `wait` is over.
  [[nodiscard]] bool WaitForNews(const FileDescriptor& socket, Duration wait) const;
  // Returns when raised, or when the other side of `socket` hangs up.
  void WaitForHangUp(const FileDescriptor& socket) const;

 private:
  FileDescriptor event_;
};

// What connections share. All of it outlives them.
struct OriginParts {
  OriginService& service;
  Authenticator& authenticator;
  Trouble& trouble;
  Statistics& statistics;
  const Clock& clock;
  const StopSignal& stop;
};

// Serves `socket` until either side closes it. The control path /__origin/ answers only
// where `is_local`. To stop it: raise the signal and shut the socket down.
void ServeConnection(const FileDescriptor& socket, bool is_local, const OriginParts& parts);

}  // namespace shoal::embedded
