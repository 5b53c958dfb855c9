#include "cli/lasting_client.h"

#include <fmt/format.h>

#include <cstdio>
#include <thread>
#include <utility>

namespace shoal {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(100);

}  // namespace

Result<Json> LastingClient::GetJson(std::string_view path,
                                    const AdminClient::Parameters& parameters) {
  while (true) {
    Result<Json> answer = AskOnce(path, parameters);
    if (answer) {
      if (std::exchange(waits_, false) && draws_) fmt::print("\033[K");
      patience_.AfterAnswer();
      return answer;
    }
    client_.reset();  // the next process may have another port
    if (!patience_.AfterFailure(answer.error(), clock_.Now())) return answer;
    Wait(answer.error());
  }
}

Result<Json> LastingClient::AskOnce(std::string_view path,
                                    const AdminClient::Parameters& parameters) {
  if (!client_) {
    ASSIGN_OR_RETURN(AdminClient client, AdminClient::Open(mount_point_, clock_));
    client_.emplace(std::move(client));
  }
  return client_->GetJson(path, parameters);
}

void LastingClient::Wait(const Error& error) {
  if (!std::exchange(waits_, true)) {
    if (draws_)
      fmt::print("no answer; waiting for the process that serves to come back\033[K\r");
    else
      fmt::print(stderr, "{}: waits for an answer: {}\n", program_, error.detail);
    std::fflush(stdout);
  }
  std::this_thread::sleep_for(kPause);
}

}  // namespace shoal
