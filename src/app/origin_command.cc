#include "app/origin_command.h"

#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/descriptor_limit.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "testing/origin_server.h"

namespace shoal {
namespace {

constexpr const char* kFooter = R"(
Control path, from this host only:
  curl URL/__origin/stats                     requests and bytes by kind
  curl -X POST URL/__origin/stats/reset
  curl URL/__origin/config                    latency, rates and faults in force
  curl -X POST URL/__origin/config -d '{"latency_ms": 20}'

Faults are a JSON list, here or as "faults" in a config:
  [{"match": {"op": "Get", "key_prefix": "a/"}, "kind": "cut_after_bytes",
    "bytes": 1000, "probability": 0.1, "count": 3}]
Kinds: status503, status429 ("retry_after": seconds), status500, cut_after_bytes
("bytes"), wrong_bytes, wrong_etag, wrong_content_range, mangled_list, hang, reset.

Credentials: a JSON list of {"id", "secret"[, "token", "expiration"][, "deny": [RIGHT]]},
or lines of ID:SECRET. RIGHT is oss:GetObject or another of OSS's. Read again when the file changes.)";

struct OriginCommandOptions {
  OriginServerOptions server;
  uint64_t latency_ms = 0;
  uint64_t bytes_per_second = 0;
  uint64_t bytes_per_second_per_connection = 0;
  uint64_t seed = 1;
  std::string faults;
  std::string log_level = "info";
  bool json = false;
};

Result<std::string> TroubleOf(const OriginCommandOptions& options) {
  nlohmann::json trouble = {
      {"latency_ms", options.latency_ms},
      {"bytes_per_second", options.bytes_per_second},
      {"bytes_per_second_per_connection", options.bytes_per_second_per_connection},
      {"seed", options.seed}};
  if (options.faults.empty()) return trouble.dump();
  std::string text = options.faults;
  if (text.starts_with('@')) {
    std::ifstream file(text.substr(1));
    if (!file) return Fail(Errc::kNotFound, "cannot read " + text.substr(1));
    std::stringstream content;
    content << file.rdbuf();
    text = content.str();
  }
  trouble["faults"] = nlohmann::json::parse(text, nullptr, false);
  if (trouble["faults"].is_discarded()) return Fail(Errc::kInvalid, "--faults is not JSON");
  return trouble.dump();
}

// SIGTERM and SIGINT are taken from every thread that follows, to be waited for.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void SayWhereItIs(const OriginCommandOptions& options, const std::string& url) {
  const bool knows_a_key = options.server.credentials_file.empty();
  if (options.json) {
    nlohmann::ordered_json json = {{"Endpoint", url}};
    if (knows_a_key) {
      json["AccessKeyId"] = OriginServer::kKeyId;
      json["AccessKeySecret"] = OriginServer::kKeySecret;
    }
    fmt::print("{}\n", json.dump());
    return;
  }
  fmt::print("shoal origin: listening on {}\n", url);
  if (knows_a_key)
    fmt::print("shoal origin: AccessKeyId {} AccessKeySecret {}\n", OriginServer::kKeyId,
               OriginServer::kKeySecret);
}

Result<> Serve(OriginCommandOptions& options) {
  RETURN_IF_ERROR(log::Start(log::Target::kStderr, options.log_level));
  (void)RaiseDescriptorLimit();
  ASSIGN_OR_RETURN(options.server.trouble, TroubleOf(options));
  const sigset_t signals = BlockEndSignals();
  const SystemClock clock;
  ASSIGN_OR_RETURN(const std::unique_ptr<OriginServer> server,
                   OriginServer::Start(options.server, clock));
  SayWhereItIs(options, server->url());
  RETURN_IF_ERROR(FlushOutput());
  int received = 0;
  sigwait(&signals, &received);
  log::Info("stopping");
  return {};
}

class OriginCommand final : public Command {
 public:
  [[nodiscard]] std::string_view name() const override { return "origin"; }

  void Declare(CLI::App& app) override {
    app.description("Serves a local directory as OSS and S3, for development.");
    app.add_option("--root", options_.server.root, "Directory to serve: one directory a bucket")
        ->required();
    app.add_option("--listen", options_.server.listen, "ADDRESS:PORT; port 0 takes a free one")
        ->default_val("127.0.0.1:9000");
    app.add_option("--bucket", options_.server.buckets, "Bucket to make if it is missing");
    app.add_option("--credentials", options_.server.credentials_file,
                   "File with the access keys to accept");
    app.add_option("--max-connections", options_.server.connection_count_max,
                   "Most connections at one time")
        ->check(&WhyNegative);
    app.add_option("--latency-ms", options_.latency_ms, "Wait before each answer, milliseconds")
        ->check(&WhyNegative);
    app.add_option("--bytes-per-second", options_.bytes_per_second,
                   "Rate of all connections together; 0 for none")
        ->check(&WhyNegative);
    app.add_option("--bytes-per-second-per-connection", options_.bytes_per_second_per_connection,
                   "Rate of each connection; 0 for none")
        ->check(&WhyNegative);
    app.add_option("--faults", options_.faults, "Faults to inject: JSON, or @FILE");
    app.add_option("--seed", options_.seed, "Seed of the faults' chances")->check(&WhyNegative);
    app.add_option("--log-level", options_.log_level, "trace, debug, info, warning or error");
    app.add_flag("--json", options_.json,
                 "Print the endpoint, and the access keys if it made them");
    app.footer(kFooter);
  }

  int Run() override {
    const Result<> served = Serve(options_);
    if (served) return kExitSuccess;
    return Complain("shoal origin", kExitFailure, served.error().detail, options_.json);
  }

 private:
  OriginCommandOptions options_;
};

}  // namespace

std::unique_ptr<Command> MakeOriginCommand() {
  return std::make_unique<OriginCommand>();
}

}  // namespace shoal
