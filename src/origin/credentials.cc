#include "origin/credentials.h"

#include <fcntl.h>
#include <spdlog/fmt/chrono.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "origin/text_values.h"

namespace shoal {
namespace {

constexpr size_t kFileBytesMax = 64 * 1024;
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

Result<AccessKeys> ParsePasswd(std::string_view text) {
  const std::string_view line = TrimLine(text);
  const size_t colon = line.find(':');
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
  if (!IsHeaderText(keys.security_token))
    return Fail(Errc::kInvalid, "its SecurityToken is empty or not printable ASCII");
  const auto expires = ParseIsoTime(expiration);
  if (!expires)
    return Fail(Errc::kInvalid, "its Expiration is not a time like 2025-12-11T08:37:51Z");
  keys.expires_unix_seconds = *expires;
  return keys;
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  const int fd_;
};

// What tells one version of a file from another.
struct FileState {
  ino_t inode = 0;
  off_t size_bytes = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;  // chmod changes this alone
  int error_number = 0;    // of stat(), if that failed

  friend bool operator==(const FileState&, const FileState&) = default;
};

FileState StateOf(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {.error_number = errno};
  const auto nanoseconds = [](timespec t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
  return {.inode = status.st_ino,
          .size_bytes = status.st_size,
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

Result<std::string> ReadSecretFile(const std::string& path) {
  const auto failed = [&](const char* what) {
    return Fail(Errc::kDenied, "credential file " + path + ": " + what);
  };
  // Links are followed: Kubernetes mounts secrets as such. O_NONBLOCK: a FIFO must not hang us.
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0) return failed(std::strerror(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return failed(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return failed("not a regular file");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return failed(("open to others than its owner; run: chmod 600 " + path).c_str());
  // Its owner could read it, and put other keys in its place.
  if (status.st_uid != 0 && status.st_uid != geteuid())
    return failed(("owned by another user; run: chown root " + path).c_str());

  std::string text(kFileBytesMax + 1, '\0');
  size_t size_bytes = 0;
  while (size_bytes < text.size()) {
    const ssize_t got = read(file.get(), text.data() + size_bytes, text.size() - size_bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(std::strerror(errno));
    if (got == 0) break;
    size_bytes += static_cast<size_t>(got);
  }
  if (size_bytes > kFileBytesMax) return failed("longer than 64 KiB");
  text.resize(size_bytes);
  return text;
}

Result<AccessKeys> ReadKeys(const std::string& path, CredentialFormat format) {
  ASSIGN_OR_RETURN(const std::string text, ReadSecretFile(path));
  auto keys = ParseCredentials(format, text);
  if (!keys) return Fail(Errc::kDenied, "credential file " + path + ": " + keys.error().detail);
  return keys;
}

class CredentialFile final : public CredentialSource {
 public:
  CredentialFile(std::string path, CredentialFormat format, const Clock& clock, FileState seen,
                 AccessKeys keys)
      : path_(std::move(path)),
        format_(format),
        clock_(clock),
        looked_at_(clock.Now()),
        seen_(seen),
        keys_(std::move(keys)) {}

  Result<AccessKeys> Current() override {
    if (IsTimeToLook()) Look();
    AccessKeys keys;
    {
      const MutexLock lock(mutex_);
      keys = keys_;
    }
    if (keys.expires_unix_seconds != 0 && clock_.UnixSeconds() >= keys.expires_unix_seconds)
      return Fail(Errc::kDenied,
                  fmt::format("credential file {}: its keys expired at {:%Y-%m-%dT%H:%M:%SZ}",
                              path_, fmt::gmtime(std::time_t{keys.expires_unix_seconds})));
    return keys;
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
    const FileState state = StateOf(path_);
    {
      const MutexLock lock(mutex_);
      if (state == seen_) return;
    }
    auto keys = ReadKeys(path_, format_);
    {
      const MutexLock lock(mutex_);
      seen_ = state;
      if (keys) keys_ = *keys;
    }
    if (keys) {
      log::Info("credential file {}: read again", path_);
    } else {
      log::Warn("{}; going on with the keys from before", keys.error().detail);
    }
  }

  const std::string path_;
  const CredentialFormat format_;
  const Clock& clock_;

  Mutex mutex_;
  Instant looked_at_ GUARDED_BY(mutex_);
  FileState seen_ GUARDED_BY(mutex_);  // taken before the read, so a later change is seen
  AccessKeys keys_ GUARDED_BY(mutex_);
};

}  // namespace

Result<AccessKeys> ParseCredentials(CredentialFormat format, std::string_view text) {
  auto keys = format == CredentialFormat::kPasswd ? ParsePasswd(text) : ParseSts(text);
  if (!keys) return keys;
  if (!IsHeaderText(keys->id) || !IsHeaderText(keys->secret))
    return Fail(Errc::kInvalid,
                "its AccessKeyId or AccessKeySecret is empty or not printable ASCII");
  return keys;
}

Result<std::unique_ptr<CredentialSource>> OpenCredentialFile(std::string path,
                                                             CredentialFormat format,
                                                             const Clock& clock) {
  const FileState state = StateOf(path);
  ASSIGN_OR_RETURN(AccessKeys keys, ReadKeys(path, format));
  return std::make_unique<CredentialFile>(std::move(path), format, clock, state, std::move(keys));
}

}  // namespace shoal
