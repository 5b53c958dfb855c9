#include "app/mount_words.h"

#include <sys/mount.h>

#include <array>

namespace shoal {
namespace {

constexpr std::string_view kAlwaysReadOnly = "the mount is read-only all the same";
constexpr std::string_view kAlwaysSafe = "the mount is nosuid and nodev all the same";
constexpr unsigned long kAccessTimeFlags = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;

constexpr MountWord Flag(std::string_view name, unsigned long set, unsigned long cleared = 0) {
  return {.name = name, .flags_set = set, .flags_cleared = cleared, .note = {}};
}
constexpr MountWord Nothing(std::string_view name, std::string_view note = {}) {
  return {.name = name, .note = note};
}

constexpr std::array kMountWords = {
    // What names this kind of mount, in the specification's example.
    Nothing("efc"),
    // Always in force.
    Nothing("ro"), Nothing("nosuid"), Nothing("nodev"), Nothing("allow_other"),
    Nothing("default_permissions"),
    // Never in force.
    Nothing("rw", kAlwaysReadOnly), Nothing("suid", kAlwaysSafe), Nothing("dev", kAlwaysSafe),
    // For mount(8) and systemd, which have acted on them by now.
    Nothing("defaults"), Nothing("_netdev"), Nothing("nofail"), Nothing("fail"), Nothing("auto"),
    Nothing("noauto"), Nothing("nouser"), Nothing("users"), Nothing("nousers"), Nothing("owner"),
    Nothing("noowner"), Nothing("group"), Nothing("nogroup"), Nothing("silent"), Nothing("loud"),
    // Of writing, which there is none of.
    Nothing("sync"), Nothing("async"), Nothing("dirsync"), Nothing("lazytime"),
    Nothing("nolazytime"), Nothing("mand"), Nothing("nomand"), Nothing("iversion"),
    Nothing("noiversion"),
    // For the kernel.
    Flag("exec", 0, MS_NOEXEC), Flag("noexec", MS_NOEXEC), Flag("atime", 0, kAccessTimeFlags),
    Flag("noatime", MS_NOATIME, kAccessTimeFlags), Flag("diratime", 0, MS_NODIRATIME),
    Flag("nodiratime", MS_NODIRATIME), Flag("relatime", MS_RELATIME, kAccessTimeFlags),
    Flag("norelatime", 0, MS_RELATIME), Flag("strictatime", MS_STRICTATIME, kAccessTimeFlags),
    Flag("nostrictatime", 0, MS_STRICTATIME), Flag("symfollow", 0, MS_NOSYMFOLLOW),
    Flag("nosymfollow", MS_NOSYMFOLLOW)};

}  // namespace

std::span<const MountWord> MountWords() {
  return kMountWords;
}

bool IsForOthers(std::string_view name) {
  return name.starts_with("x-") || name.starts_with("X-") || name == "comment" || name == "user";
}

}  // namespace shoal
