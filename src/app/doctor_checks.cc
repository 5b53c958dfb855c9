#include "app/doctor_checks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "app/cache_places.h"
#include "app/machine_limits.h"
#include "app/memory_plan.h"
#include "app/probe_bucket.h"
#include "base/bytes.h"
#include "base/file_descriptor.h"
#include "base/leave_no_core.h"
#include "base/log.h"
#include "cache/directory_list.h"
#include "cache/open_tiers.h"
#include "control/admin_server.h"
#include "control/admin_token.h"
#include "fuse/io_uring_switch.h"
#include "net/http_client.h"
#include "origin/open_store.h"

namespace shoal {
namespace {

using Severity = Finding::Severity;

constexpr rlim_t kDescriptorsWanted = 65536;
// With the options' defaults, and some for others.
constexpr uint64_t kThreadsWanted = 1024;
// Stores refuse signatures that are a quarter of an hour off.
constexpr int64_t kSkewSecondsMax = 600;
constexpr int64_t kSkewSecondsNoted = 30;
constexpr Duration kProbeMax = std::chrono::seconds(10);
constexpr std::chrono::seconds kDiskAnswerMax{5};
constexpr int kWriteMaxMs = 4000;
constexpr uint64_t kOverlayMagic = 0x794c7630;

Finding Good(std::string subject, std::string text) {
  return {Severity::kGood, std::move(subject), std::move(text), {}};
}
Finding Note(std::string subject, std::string text, std::string advice) {
  return {Severity::kNote, std::move(subject), std::move(text), std::move(advice)};
}
Finding Bad(std::string subject, std::string text, std::string advice) {
  return {Severity::kBad, std::move(subject), std::move(text), std::move(advice)};
}

// {6, 18} of "6.18.44-custom"; {0, 0} of what is no release.
std::pair<int, int> VersionOf(std::string_view release) {
  std::pair<int, int> version{0, 0};
  const char* const end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.first);
  if (major.ptr != end && *major.ptr == '.') std::from_chars(major.ptr + 1, end, version.second);
  return version;
}

Finding CheckDevice(const std::filesystem::path& root) {
  const std::string device = root / "dev/fuse";
  const int fd = open(device.c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    close(fd);
    return Good("/dev/fuse", "opens");
  }
  return Bad("/dev/fuse", std::strerror(errno),
             "load the fuse module (modprobe fuse); in a container, pass the device in");
}

Finding CheckRights() {
  if (geteuid() == 0) return Good("rights", "root");
  return Bad("rights", "not root", "mounting and passthrough need root (CAP_SYS_ADMIN)");
}

Finding CheckHelper(const std::filesystem::path& root) {
  for (const char* path : {"sbin/mount.alinas", "usr/sbin/mount.alinas"}) {
    std::error_code error;
    if (!std::filesystem::exists(root / path, error)) continue;
    const auto target = std::filesystem::canonical(root / path, error);
    if (!error && target.filename() == "shoal")
      return Good("mount helper", "/" + std::string(path));
    return Note("mount helper", fmt::format("/{} is another program's", path),
                "mount -t alinas runs that one; shoal mount works all the same");
  }
  return Note("mount helper", "there is no /sbin/mount.alinas",
              "mount -t alinas and fstab need it: ln -s \"$(command -v shoal)\" "
              "/sbin/mount.alinas");
}

// To a file without a name, which leaves nothing. 0, or an errno. Takes no memory.
int Write(const char* directory) {
  const int fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0) return write(fd, directory, 1) < 0 ? errno : 0;
  if (errno != EOPNOTSUPP && errno != EISDIR) return errno;
  return access(directory, W_OK) == 0 ? 0 : errno;
}

// The same in a process of its own: a disk that is frozen lets none end that writes to it, and this
// one is to. ETIMEDOUT: it does not answer.
int TryToWrite(const std::string& directory) {
  const pid_t child = fork();
  if (child < 0) return errno;
  if (child == 0) {
    close_range(0, ~0U, 0);  // or who reads our output would wait for it
    _exit(Write(directory.c_str()));
  }
  const FileDescriptor ended(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  pollfd end{ended.get(), POLLIN, 0};
  int status = 0;
  if (poll(&end, 1, kWriteMaxMs) != 1 || waitpid(child, &status, 0) != child) return ETIMEDOUT;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

// What is wrong with who may get at the directory; empty for nothing. The cache itself is closed to
// others when it is opened, so this is about who could put another in its place.
std::string WhoElse(const struct stat& directory) {
  if (directory.st_uid != 0 && directory.st_uid != geteuid())
    return fmt::format("belongs to user {}", directory.st_uid);
  const bool others_write = (directory.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (others_write && (directory.st_mode & S_ISVTX) == 0)
    return fmt::format("has mode {:o}", directory.st_mode & 07777U);
  return "";
}

// `path` ends with a slash.
Finding CheckCacheDirectory(const std::string& path, const CacheOptions& cache) {
  const std::string subject = "cache " + log::Printable(path);
  struct statfs medium {};
  struct stat directory {};
  if (statfs(path.c_str(), &medium) != 0 || stat(path.c_str(), &directory) != 0)
    return Bad(subject, std::strerror(errno), "make the directory: mkdir -p " + path);
  struct stat ours {};
  const bool is_there = lstat((path + "shoal-cache").c_str(), &ours) == 0;
  if (is_there && (!S_ISDIR(ours.st_mode) || ours.st_uid != 0))  // only root mounts
    return Bad(subject,
               S_ISDIR(ours.st_mode)
                   ? fmt::format("shoal-cache in it belongs to user {}", ours.st_uid)
                   : "shoal-cache in it is not a plain directory",
               "remove that, or name another path");
  if (const int error = TryToWrite(path); error == ENOSPC || error == EDQUOT)
    return Note(subject, std::strerror(error), "nothing new is kept: make room on that disk");
  else if (error != 0)
    return Bad(subject, error == ETIMEDOUT ? "does not answer" : std::strerror(error),
               "the cache needs to write there");
  if (const std::string who = WhoElse(directory); !who.empty())
    return Note(
        subject, who,
        "others could put another cache in its place: chown root " + path + "; chmod 755 " + path);
  if (static_cast<uint64_t>(medium.f_type) == kOverlayMagic)
    return Note(subject, "is on overlayfs",
                "whole files cannot pass through the kernel; use a directory of ext4 or xfs");
  if (medium.f_type == TMPFS_MAGIC)
    return Note(subject, "is in memory (tmpfs)", "g_tier_DadiMemCacheCapacityMB is meant for that");
  const auto block_bytes = static_cast<uint64_t>(medium.f_bsize);
  const uint64_t total_bytes = medium.f_blocks * block_bytes;
  const uint64_t free_bytes = medium.f_bavail * block_bytes;
  if (total_bytes < cache.disk_capacity_mib * kMiB)
    return Note(subject,
                fmt::format("{} MiB are configured, and the file system has {} MiB",
                            cache.disk_capacity_mib, total_bytes / kMiB),
                "the cache stops at what is free, less cache_min_free_mb");
  if (free_bytes < std::min(cache.free_mib_min * kMiB, total_bytes / 20))
    return Note(subject,
                fmt::format("{} MiB of {} MiB free", free_bytes / kMiB, total_bytes / kMiB),
                "that is less than cache_min_free_mb, so what is cached gives way: make room on "
                "that disk");
  return Good(subject, fmt::format("can be written, {} MiB of {} MiB free", free_bytes / kMiB,
                                   total_bytes / kMiB));
}

// Where warm-up tasks are kept. It is made when it is needed.
Finding CheckStateDirectory(const std::string& path) {
  const std::string subject = "state " + log::Printable(path);
  const std::string advice = "warm-up tasks do not outlive a restart: name another state_directory";
  std::filesystem::path at = path;
  std::error_code error;
  // A link that leads nowhere is in the way of one.
  while (std::filesystem::symlink_status(at, error).type() ==
             std::filesystem::file_type::not_found &&
         at.has_relative_path())
    at = at.parent_path();
  if (!std::filesystem::is_directory(at, error))
    return Note(subject, at.string() + " is no directory", advice);
  const int failed = TryToWrite(at);
  if (failed == 0) return Good(subject, "can be written");
  return Note(
      subject,
      at.string() + ": " + (failed == ETIMEDOUT ? "does not answer" : std::strerror(failed)),
      advice);
}

// Not waited for if the disk hangs.
std::future<Finding> BeginLook(std::function<Finding()> look) {
  std::packaged_task<Finding()> task(std::move(look));
  std::future<Finding> found = task.get_future();
  std::thread(std::move(task)).detach();
  return found;
}

std::vector<Finding> CheckCache(const CacheOptions& cache) {
  std::vector<Finding> findings;
  const Result<> checked = CheckCacheOptions(cache);
  if (!checked) findings.push_back(Bad("cache", checked.error().detail, ""));
  const auto directories = SplitDirectoryList(cache.disk_directories);
  if (!cache.enabled || cache.disk_capacity_mib == 0 || !directories) return findings;
  if (const Result<> places = CheckCachePlaces(cache, /*mount_point=*/""); !places)
    findings.push_back(Bad("cache", places.error().detail, ""));
  std::vector<std::future<Finding>> looks;
  for (const std::string& directory : *directories)
    looks.push_back(
        BeginLook([directory, cache] { return CheckCacheDirectory(directory, cache); }));
  const auto answered_by = SystemClock().Now() + kDiskAnswerMax;
  for (size_t i = 0; i < looks.size(); ++i)
    findings.push_back(looks[i].wait_until(answered_by) == std::future_status::ready
                           ? looks[i].get()
                           : Bad("cache " + log::Printable((*directories)[i]), "does not answer",
                                 "look at the disk: dmesg; reads go on without it"));
  return findings;
}

Finding CheckState(const std::string& directory) {
  std::future<Finding> look = BeginLook([directory] { return CheckStateDirectory(directory); });
  if (look.wait_for(kDiskAnswerMax) == std::future_status::ready) return look.get();
  return Note("state " + log::Printable(directory), "does not answer",
              "look at the disk: dmesg; warm-up tasks are not kept meanwhile");
}

Finding CheckMemory(const MountOptions& options) {
  const MemoryLimit limit = FindMemoryLimit();
  const uint64_t needed = MemoryNeededBytes(options);
  const std::string text = fmt::format("{} MiB needed at most, {} has {} MiB", needed / kMiB,
                                       limit.whose, limit.bytes / kMiB);
  MountOptions fitted = options;
  fitted.notices.clear();
  const Result<> fits = FitIntoMemory(limit, fitted);
  if (!fits) return Bad("memory", text, fits.error().detail);
  if (fitted.notices.empty()) return Good("memory", text);
  return Note("memory", text, fitted.notices.front().text);
}

std::vector<Finding> CheckAdminPort(const AdminOptions& options, const Clock& clock) {
  if (options.port == 0) return {};
  std::vector<Finding> findings;
  if (const auto token = AdminToken::Open(options.token_file, clock); !token)
    findings.push_back(Bad("admin token", token.error().detail, ""));
  const Result<> tried = AdminServer::TryPort(options, clock);
  findings.push_back(tried ? Good("admin port", fmt::format("{} is free", options.port))
                           : Bad("admin port", tried.error().detail, ""));
  return findings;
}

class HeadOnly final : public HttpReceiver {
 public:
  ByteSink* Begin(HttpHead head) override {
    const auto date = head.headers.find("date");
    if (date != head.headers.end()) date_ = date->second;
    return nullptr;
  }
  [[nodiscard]] const std::string& date() const { return date_; }

 private:
  std::string date_;
};

// This clock less the endpoint's; empty when it has none. The answer itself does not matter.
Result<std::optional<int64_t>> AskForSkew(const OriginOptions& origin, const Clock& clock) {
  ASSIGN_OR_RETURN(auto client,
                   HttpClient::Create({.connection_count_max = 1,
                                       .ca_file = origin.ca_file,
                                       .verify_certificate = origin.verify_certificate},
                                      clock));
  HeadOnly answer;
  const Result<> sent = client->Send({.method = "GET", .origin = origin.endpoint, .target = "/"},
                                     answer, Deadline::After(clock, kProbeMax));
  if (!sent && sent.error().code != Errc::kInterrupted) return tl::unexpected(sent.error());
  struct tm parts {};
  const char* const end = strptime(answer.date().c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr) return std::optional<int64_t>();
  return std::optional<int64_t>(clock.UnixSeconds() - timegm(&parts));
}

std::vector<Finding> CheckStore(const MountOptions& options, const Clock& clock) {
  std::vector<Finding> findings;
  const Result<std::optional<int64_t>> skew = AskForSkew(options.origin, clock);
  if (skew) {
    findings.push_back(Good("endpoint", options.origin.endpoint + " answers"));
    if (*skew) findings.push_back(CheckClock(**skew));
  } else {
    findings.push_back(Bad("endpoint", options.origin.endpoint + ": " + skew.error().detail,
                           "name resolution, routes, proxies (https_proxy), firewalls; inside "
                           "the cloud the endpoint has -internal in its name"));
  }
  std::shared_ptr<CredentialSource> credentials;
  const auto store = [&]() -> Result<std::unique_ptr<ObjectStore>> {
    LeaveNoCore();
    ASSIGN_OR_RETURN(credentials, OpenCredentials(options.origin, clock));
    return OpenStore(options.origin, credentials, clock);
  }();
  if (!store) {
    findings.push_back(Bad("credentials", store.error().detail,
                           "passwd_file or g_oss_STSFile: root's own, mode 600"));
    return findings;
  }
  if (!skew) return findings;
  const Result<std::string> probed =
      ProbeBucket(**store, *credentials, options.origin, options.file_system.prefix,
                  Deadline::After(clock, kProbeMax));
  if (probed && !probed->empty()) {
    findings.push_back(Note("bucket", *probed, "the SOURCE of the mount, after ':/'"));
  } else if (probed) {
    findings.push_back(
        Good("credentials", "bucket '" + options.origin.bucket + "' is listed with them"));
  } else {
    findings.push_back(Bad("bucket", probed.error().detail,
                           "the rights oss:ListObjects, oss:GetObject and oss:GetBucketStat, the "
                           "bucket's name and its region's endpoint"));
  }
  return findings;
}

}  // namespace

Finding CheckKernel(std::string_view release) {
  const std::string subject = "kernel";
  const std::string text(release);
  const auto version = VersionOf(release);
  if (version >= std::pair{6, 16}) return Good(subject, text);
  if (version >= std::pair{6, 9})
    return Note(subject, text,
                "names stay in the kernel for ten seconds after caches are "
                "cleared; Linux 6.16 forgets them at once");
  return Note(subject, text,
              "cached files are read through the daemon; from Linux 6.9 on the "
              "kernel reads them by itself (passthrough)");
}

Finding CheckIoUring(std::string_view release, bool switched_on, const Result<>& made) {
  if (VersionOf(release) < std::pair{6, 14})
    return Note("io_uring", "this kernel has none for FUSE",
                "small random reads are some times quicker from Linux 6.14 on");
  if (!made)
    return Note(
        "io_uring", made.error().detail,
        "small random reads are some times quicker with it: sysctl kernel.io_uring_disabled "
        "is to be 0, and a container's seccomp profile to allow io_uring_setup, "
        "io_uring_enter and io_uring_register");
  if (!switched_on)
    return Note("io_uring", "switched off for FUSE", "mounting as root switches it on");
  return Good("io_uring", "switched on for FUSE");
}

Finding CheckDescriptors(rlim_t hard_limit) {
  if (hard_limit == RLIM_INFINITY || hard_limit >= kDescriptorsWanted)
    return Good("descriptors", fmt::format("up to {}", hard_limit));
  return Note("descriptors", fmt::format("at most {}", hard_limit),
              "many files open at once will fail: raise the hard limit (ulimit -Hn, LimitNOFILE=)");
}

Finding CheckThreads(const ThreadLimit& limit) {
  const std::string text = fmt::format("{} may have {}", limit.whose, limit.count);
  if (limit.count >= kThreadsWanted) return Good("threads", text);
  return Note("threads", text,
              "calls that wait for the store may wait for a thread as well: raise the limit "
              "(pids.max, TasksMax=)");
}

Finding CheckClock(int64_t skew_seconds) {
  const int64_t off = std::abs(skew_seconds);
  const std::string text =
      off <= 1 ? "agrees with the store's"
               : fmt::format("{} s {} the store's", off, skew_seconds > 0 ? "ahead of" : "behind");
  if (off <= kSkewSecondsNoted) return Good("clock", text);
  if (off <= kSkewSecondsMax) return Note("clock", text, "set it (chronyd, systemd-timesyncd)");
  return Bad("clock", text,
             "set it (chronyd, systemd-timesyncd): the store refuses signatures "
             "from another time");
}

std::vector<Finding> CheckMachine(const std::filesystem::path& root) {
  utsname name{};
  uname(&name);
  char uring = 'N';
  std::ifstream(root / "sys/module/fuse/parameters/enable_uring") >> uring;
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  return {CheckKernel(name.release),
          CheckDevice(root),
          CheckRights(),
          CheckIoUring(name.release, uring == 'Y', TryIoUring()),
          CheckDescriptors(descriptors.rlim_max),
          CheckThreads(FindThreadLimit(root)),
          CheckHelper(root)};
}

std::vector<Finding> CheckMount(const MountOptions& options, const Clock& clock) {
  std::vector<Finding> findings{CheckMemory(options)};
  for (Finding& finding : CheckAdminPort(options.admin, clock))
    findings.push_back(std::move(finding));
  for (Finding& finding : CheckSurroundings(options, clock)) findings.push_back(std::move(finding));
  return findings;
}

std::vector<Finding> CheckSurroundings(const MountOptions& options, const Clock& clock) {
  const CacheOptions& cache = options.cache;
  std::vector<Finding> findings = CheckCache(cache);
  const bool has_tier =
      cache.enabled && (cache.memory_capacity_mib > 0 || cache.disk_capacity_mib > 0);
  if (has_tier && options.admin.port != 0)
    findings.push_back(CheckState(options.command.state_directory));
  for (Finding& finding : CheckStore(options, clock)) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace shoal
