#include "origin/credentials.h"

#include <spdlog/fmt/chrono.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "base/secret_file.h"
#include "origin/text_values.h"

namespace shoal {
namespace {

constexpr Duration kLookInterval = std::chrono::seconds(1);

std::string_view TrimLine(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// These go into a header, so they must not be able to end one.
bool IsHeaderText(std::string_view text) {
  for (const char c : text)
    if (c <= ' ' || c > '~') return false;
  return !text.empty();
}

// Empty if nothing is. Says nothing of what the text is.
std::string_view WhatIsWrongWith(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.find_first_of(" \t") != std::string_view::npos) return "has a space in it";
  return IsHeaderText(text) ? "" : "has a character that is not printable ASCII";
}

Result<AccessKeys> ParsePasswd(std::string_view text) {
  const std::string_view line = TrimLine(text);
  const size_t colon = line.find(':');
  if (line.find_first_of("\r\n") != std::string_view::npos)
    return Fail(Errc::kInvalid, "it has more than one line; it is one AccessKeyId:AccessKeySecret");
  if (colon == std::string_view::npos)
    return Fail(Errc::kInvalid, "it is not AccessKeyId:AccessKeySecret");
  return AccessKeys{.id = std::string(line.substr(0, colon)),
                    .secret = std::string(line.substr(colon + 1))};
}

Result<AccessKeys> ParseSts(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Fail(Errc::kInvalid, "it is not a JSON object");
  AccessKeys keys;
  std::string expiration;
  for (const auto& [name, field] : {std::pair<const char*, std::string*>{"AccessKeyId", &keys.id},
                                    {"AccessKeySecret", &keys.secret},
                                    {"SecurityToken", &keys.security_token},
                                    {"Expiration", &expiration}}) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string())
      return Fail(Errc::kInvalid, std::string("it has no ") + name);
    *field = found->get_ref<const std::string&>();
  }
  if (const std::string_view wrong = WhatIsWrongWith(keys.security_token); !wrong.empty())
    return Fail(Errc::kInvalid, fmt::format("its SecurityToken {}", wrong));
  const auto expires = ParseIsoTime(expiration);
  if (!expires)
    return Fail(Errc::kInvalid, "its Expiration is not a time like 2025-12-11T08:37:51Z");
  keys.expires_unix_seconds = *expires;
  return keys;
}

// kUnreachable as in ReadSecretFile, else kDenied.
Result<AccessKeys> ReadKeys(const std::string& path, CredentialFormat format) {
  const auto failed = [&](Errc code, const std::string& why) {
    return Fail(code, "credential file " + path + ": " + why);
  };
  const auto text = ReadSecretFile(path);
  if (!text) return failed(text.error().code, text.error().detail);
  auto keys = ParseCredentials(format, *text);
  if (!keys) return failed(Errc::kDenied, keys.error().detail);
  return keys;
}

class CredentialFile final : public CredentialSource {
 public:
  CredentialFile(std::string path, CredentialFormat format, const Clock& clock,
                 SecretFileState seen, std::optional<AccessKeys> keys)
      : path_(std::move(path)),
        format_(format),
        clock_(clock),
        looked_at_(clock.Now()),
        seen_(seen),
        keys_(std::move(keys)) {}

  Result<AccessKeys> Current() override {
    if (IsTimeToLook()) Look();
    std::optional<AccessKeys> keys;
    {
      const MutexLock lock(mutex_);
      keys = keys_;
    }
    if (!keys)
      return Fail(Errc::kDenied, fmt::format("credential file {}: there are no keys yet", path_));
    if (keys->expires_unix_seconds != 0 && clock_.UnixSeconds() >= keys->expires_unix_seconds)
      return Fail(Errc::kDenied,
                  fmt::format("credential file {}: its keys expired at {:%Y-%m-%dT%H:%M:%SZ}",
                              path_, fmt::gmtime(std::time_t{keys->expires_unix_seconds})));
    return *std::move(keys);
  }

 private:
  // True for one caller each interval; the others go on with the keys there are.
  bool IsTimeToLook() {
    const Instant now = clock_.Now();
    const MutexLock lock(mutex_);
    if (now - looked_at_ < kLookInterval) return false;
    looked_at_ = now;
    return true;
  }

  void Look() {
    const SecretFileState state = StateOfSecretFile(path_);
    {
      const MutexLock lock(mutex_);
      if (state == seen_) return;
    }
    auto keys = ReadKeys(path_, format_);
    const bool is_seen = keys || keys.error().code != Errc::kUnreachable;
    bool is_new = true;
    {
      const MutexLock lock(mutex_);
      if (is_seen) seen_ = state;
      is_new = is_seen || unreadable_ != keys.error().detail;
      unreadable_ = is_seen ? "" : keys.error().detail;
      if (keys) keys_ = *keys;
    }
    if (keys)
      log::Info("credential file {}: read again", path_);
    else if (is_new)
      log::Warn("{}; going on with the keys from before", keys.error().detail);
  }

  const std::string path_;
  const CredentialFormat format_;
  const Clock& clock_;

  Mutex mutex_;
  Instant looked_at_ GUARDED_BY(mutex_);
  SecretFileState seen_ GUARDED_BY(mutex_);    // taken before the read, so a later change is seen
  std::string unreadable_ GUARDED_BY(mutex_);  // the last reason, which was warned of
  std::optional<AccessKeys> keys_ GUARDED_BY(mutex_);  // none: there were none so far
};

}  // namespace

Result<AccessKeys> ParseCredentials(CredentialFormat format, std::string_view text) {
  auto keys = format == CredentialFormat::kPasswd ? ParsePasswd(text) : ParseSts(text);
  if (!keys) return keys;
  for (const auto& [name, value] :
       {std::pair{"AccessKeyId", &keys->id}, {"AccessKeySecret", &keys->secret}})
    if (const std::string_view wrong = WhatIsWrongWith(*value); !wrong.empty())
      return Fail(Errc::kInvalid, fmt::format("its {} {}", name, wrong));
  return keys;
}

Result<std::unique_ptr<CredentialSource>> OpenCredentialFile(std::string path,
                                                             CredentialFormat format,
                                                             const Clock& clock,
                                                             bool may_be_missing) {
  SecretFileState state = StateOfSecretFile(path);
  auto read = ReadKeys(path, format);
  std::optional<AccessKeys> keys;
  if (read) {
    keys = *std::move(read);
  } else if (may_be_missing) {
    log::Error("{}; requests are refused until it can be used", read.error().detail);
    if (read.error().code == Errc::kUnreachable) state = {};
  } else {
    return Fail(Errc::kDenied, read.error().detail);
  }
  return std::make_unique<CredentialFile>(std::move(path), format, clock, state, std::move(keys));
}

}  // namespace shoal
