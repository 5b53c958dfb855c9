#include "control/admin_server.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <utility>

#include "base/log.h"
#include "control/admin_token.h"
#include "net/http_server.h"

namespace shoal {
namespace {

std::string MachineName() {
  std::array<char, HOST_NAME_MAX + 1> name = {};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

Result<std::unique_ptr<HttpServer>> Listen(const AdminOptions& options, HttpHandler handler,
                                           const Clock& clock) {
  HttpServerOptions http;
  http.address = ListeningAddress(options);
  http.port = static_cast<uint16_t>(options.port);
  http.certificate_file = options.certificate_file;
  http.key_file = options.key_file;
  http.client_ca_file = options.client_ca_file;
  http.held_bytes_max = options.held_bytes_max;
  http.refusal = &AdminApi::Refusal;
  auto server = HttpServer::Start(http, std::move(handler), clock);
  if (server) return server;
  std::string detail = "g_server_Port: " + server.error().detail;
  if (server.error().code == Errc::kBusy)
    detail += "; another mount or program has it: give this one another port";
  return Fail(server.error().code, std::move(detail));
}

}  // namespace

struct AdminServer::State {
  State(const AdminOptions& given, AdminNode node) : options(given), api(std::move(node)) {}

  const AdminOptions options;
  AdminAccessRules rules;  // but for the token, which may change
  std::unique_ptr<AdminToken> token;
  AdminApi api;
  std::unique_ptr<HttpServer> server;  // last: it uses the rest
};

Result<std::unique_ptr<AdminServer>> AdminServer::Start(const AdminOptions& options,
                                                        AdminNode node) {
  RETURN_IF_ERROR(CheckAdminOptions(options));
  const Clock& clock = node.clock;
  auto state = std::make_unique<State>(options, std::move(node));
  ASSIGN_OR_RETURN(state->token, AdminToken::Open(options.token_file, clock));
  state->rules = {.machine_name = MachineName(),
                  .token = "",
                  .clients_are_certified = !options.client_ca_file.empty()};
  ASSIGN_OR_RETURN(state->server, Listen(
                                      options,
                                      [parts = state.get()](const HttpCall& call) {
                                        AdminAccessRules rules = parts->rules;
                                        rules.token = parts->token->Current();
                                        return parts->api.Answer(call, rules);
                                      },
                                      clock));
  if (!options.token_file.empty() && options.certificate_file.empty() &&
      !ListeningAddress(options).starts_with("127."))
    log::Warn(
        "admin_address: the token crosses the network in the clear; admin_cert_file and "
        "admin_key_file would hide it");
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(state)));
}

Result<> AdminServer::TryPort(const AdminOptions& options, const Clock& clock) {
  RETURN_IF_ERROR(Listen(
      options, [](const HttpCall&) { return AdminApi::Refusal(503, "nothing is mounted"); },
      clock));
  return {};
}

AdminServer::AdminServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

AdminServer::~AdminServer() = default;

uint16_t AdminServer::port() const {
  return state_->server->port();
}

std::string AdminServer::url() const {
  std::string address = ListeningAddress(state_->options);
  if (address == "0.0.0.0") address = "127.0.0.1";
  if (address == "::") address = "::1";
  if (address.find(':') != std::string::npos) address = "[" + address + "]";
  return (state_->options.certificate_file.empty() ? "http://" : "https://") + address + ":" +
         std::to_string(port());
}

}  // namespace shoal
