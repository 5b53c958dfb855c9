// The embedded origin: a small, honest OSS- and S3-compatible server over a local
// directory, for the demo, tests and benchmarks, and for local development.
//
//   DIR/BUCKET/...         buckets and objects; files put there by anyone are objects too
//   http://HOST:PORT/BUCKET/KEY, or http://BUCKET.anything:PORT/KEY
//
// It speaks both dialects on one port, told apart by the signature, which it verifies (OSS
// V1 and V4, AWS V4, temporary tokens). Outside: ACLs, versions, presigned URLs, lifecycle,
// symlink objects, server-side encryption.
//
// Control path, from this host only and not signed; see origin_trouble.h for the members:
//   GET  /__origin/config        what latency, rates and faults are in force
//   POST /__origin/config        changes them
//   GET  /__origin/stats         requests and bytes by kind; see origin_statistics.h
//   POST /__origin/stats/reset
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "testing/origin_operation.h"

namespace shoal {

struct OriginServerOptions {
  std::string root;                      // directory with one directory a bucket
  std::string listen = "127.0.0.1:0";    // ADDRESS:PORT; port 0: any free one
  std::vector<std::string> buckets;      // made if missing
  std::string credentials_file;          // see origin_authentication.h; empty: the built-in pair
  std::string trouble;                   // JSON as for POST /__origin/config; empty: none
  uint64_t connection_count_max = 1024;  // further ones are answered 503 and closed
};

// Thread-safe.
class OriginServer {
 public:
  // The pair that is accepted when there is no credentials file.
  static constexpr const char* kKeyId = "shoal-dev";
  static constexpr const char* kKeySecret = "shoal-dev-secret";

  // Listens when it returns. `clock` outlives it; signatures and expiry are judged by its
  // UnixSeconds, rates are kept by its Now (so a rate limit wants a clock that runs). kInvalid for
  // options of no use, kNotFound for a missing directory or file, kBusy for an address in use.
  static Result<std::unique_ptr<OriginServer>> Start(const OriginServerOptions& options,
                                                     const Clock& clock);
  // Closes every connection, and waits for their threads.
  ~OriginServer();
  OriginServer(const OriginServer&) = delete;
  OriginServer& operator=(const OriginServer&) = delete;

  [[nodiscard]] uint16_t port() const;
  // "http://127.0.0.1:PORT"
  [[nodiscard]] std::string url() const;

  // As the control path does, without a socket.
  Result<> SetTrouble(std::string_view json);
  [[nodiscard]] uint64_t RequestCount(embedded::Operation operation) const;
  [[nodiscard]] std::string Statistics() const;
  void ResetStatistics();

 private:
  struct State;
  explicit OriginServer(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace shoal
