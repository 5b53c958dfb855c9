#include "control/admin_token.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace shoal {
namespace {

constexpr Duration kLookInterval = std::chrono::seconds(1);
constexpr size_t kTokenBytesMin = 16;
constexpr size_t kTokenBytesMax = 4096;

// kUnreachable as in ReadSecretFile, else kDenied.
Result<std::string> ReadToken(const std::string& path) {
  const auto failed = [&](Errc code, const std::string& why) {
    return Fail(code, "admin_token_file: " + path + ": " + why);
  };
  const auto text = ReadSecretFile(path);
  if (!text) return failed(text.error().code, text.error().detail);
  std::string_view token = *text;
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.remove_suffix(1);
  if (token.size() < kTokenBytesMin || token.size() > kTokenBytesMax ||
      std::ranges::any_of(token, [](char c) { return c <= ' ' || c > '~'; }))
    return failed(
        Errc::kDenied,
        "not one word of 16 to 4096 printable characters; openssl rand -hex 32 makes one");
  return std::string(token);
}

}  // namespace

Result<std::unique_ptr<AdminToken>> AdminToken::Open(const std::string& path, const Clock& clock) {
  const SecretFileState state = StateOfSecretFile(path);
  std::string token;
  if (!path.empty()) {
    auto read = ReadToken(path);
    if (!read) return Fail(Errc::kInvalid, read.error().detail);
    token = *std::move(read);
  }
  return std::unique_ptr<AdminToken>(new AdminToken(path, clock, state, std::move(token)));
}

AdminToken::AdminToken(std::string path, const Clock& clock, SecretFileState seen,
                       std::string token)
    : path_(std::move(path)),
      clock_(clock),
      looked_at_(clock.Now()),
      seen_(seen),
      token_(std::move(token)) {}

std::string AdminToken::Current() {
  if (path_.empty()) return "";
  {
    const MutexLock lock(mutex_);
    const Instant now = clock_.Now();
    if (now - looked_at_ < kLookInterval) return token_;
    looked_at_ = now;  // for one caller; the others go on with what there is
  }
  const SecretFileState state = StateOfSecretFile(path_);
  {
    const MutexLock lock(mutex_);
    if (state == seen_) return token_;
  }
  const auto token = ReadToken(path_);
  const bool is_seen = token || token.error().code != Errc::kUnreachable;
  bool is_new = true;
  std::string current;
  {
    const MutexLock lock(mutex_);
    if (is_seen) seen_ = state;
    is_new = is_seen || unreadable_ != token.error().detail;
    unreadable_ = is_seen ? "" : token.error().detail;
    if (token) token_ = *token;
    current = token_;
  }
  if (token)
    log::Info("admin_token_file: {}: read again", path_);
  else if (is_new)
    log::Warn("{}; the token before stays in force", token.error().detail);
  return current;
}

}  // namespace shoal
