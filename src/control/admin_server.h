// The admin port: an HttpServer that answers as AdminApi says, to whom AdminAccess lets in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "control/admin_api.h"
#include "control/options.h"

namespace shoal {

class AdminServer {
 public:
  // Listens when it returns; on any free port if that of `options` is 0. What `node` refers to
  // outlives it. Errors name the option: CheckAdminOptions's, AdminToken::Open's and
  // HttpServer::Start's.
  static Result<std::unique_ptr<AdminServer>> Start(const AdminOptions& options, AdminNode node);
  // Whether the port can be opened just now, as it then is for a moment. Errors are
  // HttpServer::Start's, naming the option.
  static Result<> TryPort(const AdminOptions& options, const Clock& clock);
  // Waits for the calls under way.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  [[nodiscard]] uint16_t port() const;
  // How programs on this machine reach it: "http://127.0.0.1:17871".
  [[nodiscard]] std::string url() const;

 private:
  struct State;
  explicit AdminServer(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace shoal
