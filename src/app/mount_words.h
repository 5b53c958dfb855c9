// The options without a value that mount(8) and fstab put beside ours, and what they mean
// for a mount that is always read-only, nosuid and nodev.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

struct MountWord {
  std::string_view name;
  unsigned long flags_set = 0;      // MS_* of mount(2)
  unsigned long flags_cleared = 0;  // of those that words before it set
  std::string_view note;            // for the log: why asking for it changes nothing
};

// In the order of the manual page. Constant for the life of the process.
std::span<const MountWord> MountWords();

// Of words for the kernel, in their order, those that change what a mount is that has
// `shown` (MountEntry::words). Pure.
std::vector<std::string> WordsNotInForce(const std::vector<std::string>& words,
                                         std::string_view shown);

// "x-systemd.automount", "comment=...", "user=...": for programs that read fstab, with or
// without a value.
bool IsForOthers(std::string_view name);

}  // namespace shoal
