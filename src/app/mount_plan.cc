#include "app/mount_plan.h"

#include <utility>

#include "app/machine_limits.h"
#include "app/memory_plan.h"
#include "app/mount_source.h"

namespace shoal {

Result<MountOptions> OptionsOf(const MountState& state) {
  ASSIGN_OR_RETURN(MountOptions options, ParseMountOptions(state.options, state.sloppy));
  if (!state.log_level.empty()) options.command.log_level = state.log_level;
  ASSIGN_OR_RETURN(MountSource source, ParseMountSource(state.source, options.command.endpoint,
                                                        options.origin.protocol));
  options.origin.bucket = std::move(source.bucket);
  options.origin.endpoint = std::move(source.endpoint);
  options.origin.path_style = source.path_style;
  options.file_system.prefix = std::move(source.prefix);
  options.file_system.key_bytes_max = KeyBytesMax(options.origin);
  return options;
}

namespace {

MountPlan With(const MountState& state, MountOptions options) {
  return MountPlan{.source = state.source,
                   .subtype = state.subtype,
                   .mount_point = state.mount_point,
                   .options = std::move(options)};
}

}  // namespace

Result<MountPlan> PlanOf(const MountState& state) {
  ASSIGN_OR_RETURN(MountOptions options, OptionsOf(state));
  RETURN_IF_ERROR(FitIntoMemory(FindMemoryLimit(), options));
  return With(state, std::move(options));
}

Result<MountPlan> PlanToRecover(const MountState& state) {
  ASSIGN_OR_RETURN(MountOptions options, OptionsOf(state));
  const MemoryLimit limit = FindMemoryLimit();
  if (const auto fits = FitIntoMemory(limit, options); !fits) {
    // Anew: what was made smaller in vain is not to stay so.
    ASSIGN_OR_RETURN(options, OptionsOf(state));
    options.notices.push_back(
        {.is_warning = true, .text = "served without the memory cache: " + fits.error().detail});
    options.cache.memory_capacity_mib = 0;
    // It has served with the rest of it.
    if (const auto rest = FitIntoMemory(limit, options); !rest)
      options.notices.push_back({.is_warning = true, .text = rest.error().detail});
  }
  return With(state, std::move(options));
}

}  // namespace shoal
