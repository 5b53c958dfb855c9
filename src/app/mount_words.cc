#include "app/mount_words.h"

#include <sys/mount.h>

#include <algorithm>
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

constexpr MountWord kNoWord{};

const MountWord& WordOf(std::string_view name) {
  const auto word = std::ranges::find(kMountWords, name, &MountWord::name);
  return word == kMountWords.end() ? kNoWord : *word;
}

// Takes what comes before the separator, and that as well.
std::string_view Take(std::string_view& text, char separator) {
  const std::string_view part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), part.size() + 1));
  return part;
}

unsigned long With(unsigned long flags, const MountWord& word) {
  // What the kernel does without being told is as good as not told.
  return ((flags & ~word.flags_cleared) | word.flags_set) & ~MS_RELATIME;
}

}  // namespace

std::vector<std::string> WordsNotInForce(const std::vector<std::string>& words,
                                         std::string_view shown) {
  unsigned long flags = 0;
  while (!shown.empty()) flags = With(flags, WordOf(Take(shown, ',')));
  std::vector<std::string> changing;
  for (const std::string& word : words) {
    const unsigned long changed = With(flags, WordOf(word));
    if (changed != flags) changing.push_back(word);
    flags = changed;
  }
  return changing;
}

std::span<const MountWord> MountWords() {
  return kMountWords;
}

bool IsForOthers(std::string_view name) {
  return name.starts_with("x-") || name.starts_with("X-") || name == "comment" || name == "user";
}

}  // namespace shoal
