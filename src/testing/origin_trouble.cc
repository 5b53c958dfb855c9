#include "testing/origin_trouble.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace shoal::embedded {
namespace {

using nlohmann::json;

constexpr size_t kRulesMax = 1000;
constexpr auto kKindNames = std::to_array<std::string_view>(
    {"status503", "status429", "status500", "cut_after_bytes", "wrong_bytes", "wrong_etag",
     "wrong_content_range", "mangled_list", "hang", "reset"});

Result<> ReadNumber(const json& object, const char* name, uint64_t& out) {
  if (!object.contains(name)) return {};
  if (!object[name].is_number_unsigned())
    return Fail(Errc::kInvalid, std::string(name) + " must be a whole number");
  out = object[name].get<uint64_t>();
  return {};
}

Result<std::string> ReadText(const json& object, const char* name) {
  if (!object.contains(name)) return std::string();
  if (!object[name].is_string()) return Fail(Errc::kInvalid, std::string(name) + " must be text");
  return object[name].get<std::string>();
}

Result<> OnlyKnown(const json& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return Fail(Errc::kInvalid, "must be a JSON object");
  for (const auto& [name, value] : object.items())
    if (std::ranges::find(known, name) == known.end())
      return Fail(Errc::kInvalid, "unknown member '" + name + "'");
  return {};
}

Result<FaultRule> ReadRule(const json& object) {
  RETURN_IF_ERROR(
      OnlyKnown(object, {"match", "kind", "bytes", "retry_after", "probability", "count"}));
  FaultRule rule;
  if (object.contains("match")) {
    const json& match = object["match"];
    RETURN_IF_ERROR(OnlyKnown(match, {"op", "key_prefix"}));
    ASSIGN_OR_RETURN(rule.key_prefix, ReadText(match, "key_prefix"));
    ASSIGN_OR_RETURN(const std::string operation, ReadText(match, "op"));
    rule.operation = OperationNamed(operation);
    if (!operation.empty() && !rule.operation)
      return Fail(Errc::kInvalid, "no such op: '" + operation + "'");
  }
  ASSIGN_OR_RETURN(const std::string kind, ReadText(object, "kind"));
  const auto known = std::ranges::find(kKindNames, kind);
  if (known == kKindNames.end()) return Fail(Errc::kInvalid, "no such kind: '" + kind + "'");
  rule.fault.kind = static_cast<FaultKind>(known - kKindNames.begin());
  RETURN_IF_ERROR(ReadNumber(object, "bytes", rule.fault.bytes));
  RETURN_IF_ERROR(ReadNumber(object, "retry_after", rule.fault.retry_after_seconds));
  if (object.contains("count")) RETURN_IF_ERROR(ReadNumber(object, "count", rule.count.emplace()));
  if (object.contains("probability")) {
    if (!object["probability"].is_number())
      return Fail(Errc::kInvalid, "probability must be a number");
    rule.probability = object["probability"].get<double>();
  }
  return rule;
}

json PrintRule(const FaultRule& rule) {
  json object = {{"kind", kKindNames[static_cast<size_t>(rule.fault.kind)]},
                 {"probability", rule.probability},
                 {"match", {{"key_prefix", rule.key_prefix}}}};
  if (rule.operation) object["match"]["op"] = NameOf(*rule.operation).name;
  if (rule.count) object["count"] = *rule.count;
  if (rule.fault.kind == FaultKind::kCutAfterBytes) object["bytes"] = rule.fault.bytes;
  if (rule.fault.kind == FaultKind::kStatus429)
    object["retry_after"] = rule.fault.retry_after_seconds;
  return object;
}

}  // namespace

Instant Pacer::Reserve(Instant now, uint64_t bytes, uint64_t bytes_per_second) {
  const MutexLock lock(mutex_);
  const Instant at = std::max(next_, now - kCatchUp);
  next_ = at + Duration(static_cast<int64_t>(static_cast<double>(bytes) * 1e9 /
                                             static_cast<double>(bytes_per_second)));
  return at;
}

Result<> Trouble::Apply(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (object.is_discarded()) return Fail(Errc::kInvalid, "not JSON");
  RETURN_IF_ERROR(OnlyKnown(object, {"latency_ms", "bytes_per_second",
                                     "bytes_per_second_per_connection", "seed", "faults"}));
  TroubleConfig next;
  {
    const MutexLock lock(mutex_);
    next = config_;
  }
  RETURN_IF_ERROR(ReadNumber(object, "latency_ms", next.latency_ms));
  RETURN_IF_ERROR(ReadNumber(object, "bytes_per_second", next.bytes_per_second));
  RETURN_IF_ERROR(
      ReadNumber(object, "bytes_per_second_per_connection", next.bytes_per_second_per_connection));
  RETURN_IF_ERROR(ReadNumber(object, "seed", next.seed));
  if (object.contains("faults")) {
    if (!object["faults"].is_array() || object["faults"].size() > kRulesMax)
      return Fail(Errc::kInvalid, "faults must be a list of at most 1000 rules");
    next.faults.clear();
    for (const json& rule : object["faults"]) {
      ASSIGN_OR_RETURN(FaultRule read, ReadRule(rule));
      next.faults.push_back(std::move(read));
    }
  }
  const MutexLock lock(mutex_);
  config_ = std::move(next);
  random_.seed(config_.seed);
  return {};
}

std::string Trouble::Print() const {
  const MutexLock lock(mutex_);
  json object = {{"latency_ms", config_.latency_ms},
                 {"bytes_per_second", config_.bytes_per_second},
                 {"bytes_per_second_per_connection", config_.bytes_per_second_per_connection},
                 {"seed", config_.seed},
                 {"faults", json::array()}};
  for (const FaultRule& rule : config_.faults) object["faults"].push_back(PrintRule(rule));
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

uint64_t Trouble::latency_ms() const {
  const MutexLock lock(mutex_);
  return config_.latency_ms;
}

Trouble::Rates Trouble::rates() const {
  const MutexLock lock(mutex_);
  return {config_.bytes_per_second, config_.bytes_per_second_per_connection};
}

std::optional<Fault> Trouble::Pick(Operation operation, std::string_view key) {
  const MutexLock lock(mutex_);
  for (FaultRule& rule : config_.faults) {
    if (rule.operation && *rule.operation != operation) continue;
    if (!key.starts_with(rule.key_prefix) || rule.count == 0) continue;
    const double chance = std::uniform_real_distribution<double>(0, 1)(random_);
    if (chance >= rule.probability) continue;
    if (rule.count) --*rule.count;
    return rule.fault;
  }
  return std::nullopt;
}

}  // namespace shoal::embedded
