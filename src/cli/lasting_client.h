// An AdminClient for commands that go on asking while the processes that answer come and go. For
// one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "cli/admin_client.h"
#include "cli/patience.h"

namespace shoal {

class LastingClient {
 public:
  // `program` is what the command calls itself. Waiting is told on standard error, once each time;
  // where it `draws`, on the line of the terminal that the cursor is at the beginning of. `clock`
  // outlives it.
  LastingClient(std::string mount_point, std::string program, bool draws, const Clock& clock)
      : mount_point_(std::move(mount_point)),
        program_(std::move(program)),
        draws_(draws),
        clock_(clock) {}

  // As AdminClient::GetJson. Who does not answer is asked again, wherever the mount says by then
  // that it is to be asked, for as long as Patience has it. Other errors are AdminClient::Open's.
  Result<Json> GetJson(std::string_view path, const AdminClient::Parameters& parameters = {});

 private:
  Result<Json> AskOnce(std::string_view path, const AdminClient::Parameters& parameters);
  void Wait(const Error& error);

  const std::string mount_point_;
  const std::string program_;
  const bool draws_;
  const Clock& clock_;
  std::optional<AdminClient> client_;
  Patience patience_;
  bool waits_ = false;  // and it was told
};

}  // namespace shoal
