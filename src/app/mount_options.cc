#include "app/mount_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <string_view>

#include "app/mount_words.h"
#include "app/nearest_name.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/option_list.h"
#include "control/admin_access.h"

namespace shoal {
namespace {

auto Wrong(std::string_view name, std::string_view why) {
  return Fail(Errc::kInvalid, fmt::format("{}: {}", log::Printable(name), why));
}

bool IsOff(bool value) {
  return !value;
}
bool IsOff(uint64_t value) {
  return value == 0;
}
bool IsOff(const std::string& value) {
  return value.empty();
}

std::vector<std::string_view> KnownNames() {
  std::vector<std::string_view> names;
  ForEachOptionGroup([&](std::string_view, auto, const auto& declarations) {
    ForEachOption(declarations, [&](const auto& option) { names.push_back(option.name); });
  });
  for (const MountWord& word : MountWords()) names.push_back(word.name);
  return names;
}

Result<> Assign(const auto& option, auto& target, const ListedOption& given) {
  if (!given.value) return Wrong(option.name, fmt::format("needs a value: {}=...", option.name));
  if (option.unit == Unit::kPath && !given.value->empty() && !given.value->starts_with('/'))
    return Wrong(option.name, "not an absolute path, which begins with /");
  if (auto parsed = ParseValue(*given.value, target.*option.field); !parsed)
    return Wrong(option.name, log::Printable(parsed.error().detail));
  if (option.unit == Unit::kPort) {
    uint16_t port = 0;
    const char* const end = given.value->data() + given.value->size();
    const auto [parsed_end, error] = std::from_chars(given.value->data(), end, port);
    if (parsed_end != end || error != std::errc{})
      return Wrong(option.name, "not a port from 0 to 65535");
  }
  return {};
}

// False if no room declares it.
Result<bool> ApplyDeclared(const ListedOption& given, MountOptions& options) {
  Result<bool> found = false;
  ForEachOptionGroup([&](std::string_view, auto member, const auto& declarations) {
    ForEachOption(declarations, [&](const auto& option) {
      if (option.name != given.name) return;
      auto& target = options.*member;
      const Result<> assigned = Assign(option, target, given);
      if (!assigned) {
        found = tl::unexpected(assigned.error());
        return;
      }
      found = true;
      if constexpr (std::is_same_v<std::decay_t<decltype(target)>, LaterOptions>) {
        if (!IsOff(target.*option.field))
          options.notices.push_back(
              {.is_warning = true,
               .text =
                   fmt::format("{}: not in this build; the mount runs without it", option.name)});
      }
    });
  });
  return found;
}

Result<bool> ApplyWord(const ListedOption& given, MountOptions& options) {
  if (IsForOthers(given.name)) return true;
  const auto words = MountWords();
  const auto word = std::ranges::find(words, given.name, &MountWord::name);
  if (word == words.end()) return false;
  if (given.value) return Wrong(given.name, "takes no value");
  options.mount_flags &= ~word->flags_cleared;
  options.mount_flags |= word->flags_set;
  if (!word->note.empty())
    options.notices.push_back({.text = fmt::format("{}: {}", word->name, word->note)});
  return true;
}

std::string UnknownOption(std::string_view name) {
  const std::string_view nearest = NearestName(name, KnownNames());
  return fmt::format("unknown option '{}'{}", log::Printable(name),
                     nearest.empty() ? "; shoal mount --help lists them all"
                                     : fmt::format("; did you mean '{}'?", nearest));
}

Result<> Apply(const ListedOption& given, bool sloppy, MountOptions& options) {
  if (given.name == "remount")
    return Wrong(given.name, "this is for mount -o remount, or shoal update");
  ASSIGN_OR_RETURN(bool known, ApplyDeclared(given, options));
  if (!known) {
    ASSIGN_OR_RETURN(known, ApplyWord(given, options));
  }
  if (known) return {};
  if (!sloppy) return Fail(Errc::kInvalid, UnknownOption(given.name));
  options.notices.push_back({.is_warning = true, .text = UnknownOption(given.name)});
  return {};
}

// Less would not bring one block in the time that a request may take.
constexpr uint64_t kFetchRateMin = kMiB;

// Beyond these, sums of sizes and times would overflow, or nothing could work.
Result<> CheckBounds(const MountOptions& options) {
  constexpr uint64_t kYearSeconds = 366 * 86400;
  struct Bound {
    std::string_view name;
    uint64_t value, min, max;
  };
  for (const Bound& bound :
       {Bound{"recovery_limit", options.command.recovery_limit_seconds, 1, kYearSeconds},
        Bound{"connect_timeout", options.origin.connect_timeout_seconds, 1, 10'000},
        Bound{"request_deadline", options.origin.request_deadline_seconds, 1, 10'000},
        Bound{"max_connections", options.origin.connection_count_max, 1, 10'000},
        Bound{"warmup_connections", options.warmup.connection_count_max, 1, 10'000},
        Bound{"read_memory_mb", options.read.memory_mib, 8, 1 << 20},
        Bound{"g_tier_DadiMemCacheCapacityMB", options.cache.memory_capacity_mib, 0, 1 << 30},
        Bound{"g_tier_DadiDiskCacheCapacityMB", options.cache.disk_capacity_mib, 0, 1 << 30},
        Bound{"g_tier_DadiCachePageSizeKB", options.cache.page_kib, 4, 1024},
        Bound{"cache_min_free_mb", options.cache.free_mib_min, 0, 1 << 30},
        Bound{"entry_timeout", options.file_system.name_valid_seconds, 0, kYearSeconds},
        Bound{"g_readdircache_RemainTime", options.file_system.directory_cache_valid_seconds, 0,
              kYearSeconds},
        Bound{"readahead_kb", options.session.readahead_kib, 0, 1 << 20},
        Bound{"g_tier_DadiRootClientType", options.later.node_role, 0, 2},
        Bound{"g_tier_DadiP2PPort", options.later.peer_port, 1, 65'535}})
    if (bound.value < bound.min || bound.value > bound.max)
      return Wrong(bound.name,
                   fmt::format("{} is not from {} to {}", bound.value, bound.min, bound.max));
  const uint64_t block = options.read.segment_bytes;
  if (!std::has_single_bit(block) || block < kSegmentBytesMin || block > kSegmentBytesMax)
    return Wrong("g_tier_BlockSize", fmt::format("{} is not a power of two from {} to {}", block,
                                                 kSegmentBytesMin, kSegmentBytesMax));
  const uint64_t fetch_rate = options.cache.fetch_rate_max;
  if (fetch_rate != 0 && fetch_rate < kFetchRateMin)
    return Wrong("g_tier_DadiSdkGetTrafficLimit",
                 fmt::format("{} is neither 0 nor {} or more", fetch_rate, kFetchRateMin));
  return {};
}

}  // namespace

Result<MountOptions> ParseMountOptions(const std::vector<std::string>& arguments, bool sloppy) {
  MountOptions options;
  for (const std::string& argument : arguments) {
    ASSIGN_OR_RETURN(const std::vector<ListedOption> list, SplitOptionList(argument));
    for (const ListedOption& given : list) RETURN_IF_ERROR(Apply(given, sloppy, options));
  }
  RETURN_IF_ERROR(CheckBounds(options));
  RETURN_IF_ERROR(log::CheckLevel(options.command.log_level));
  RETURN_IF_ERROR(CheckSessionOptions(options.session));
  RETURN_IF_ERROR(CheckAdminOptions(options.admin));
  if (options.cache.disk_capacity_mib == 0 && !options.cache.disk_directories.empty())
    options.notices.push_back({.is_warning = true,
                               .text = "g_tier_DadiDiskCachePath: nothing is kept there while "
                                       "g_tier_DadiDiskCacheCapacityMB is 0"});
  options.read.page_bytes = static_cast<uint32_t>(options.cache.page_kib * kKiB);
  options.read.fetch_count_max = options.origin.connection_count_max;
  options.read.deadline_seconds = options.origin.request_deadline_seconds;
  options.file_system.deadline_seconds = options.origin.request_deadline_seconds;
  options.session.deadline_seconds = options.origin.request_deadline_seconds;
  options.session.has_cache = options.cache.enabled && (options.cache.memory_capacity_mib != 0 ||
                                                        options.cache.disk_capacity_mib != 0);
  return options;
}

}  // namespace shoal
