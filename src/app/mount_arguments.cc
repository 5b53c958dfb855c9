#include "app/mount_arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

#include "app/option_reference.h"
#include "base/exit_status.h"
#include "cli/command.h"

namespace shoal {
namespace {

constexpr std::string_view kDescription =
    "Mounts a bucket, or the part of it below PREFIX, read-only.";

void Declare(CLI::App& app, MountArguments& out, std::string& type, bool is_helper) {
  app.add_option("SOURCE", out.source,
                 "BUCKET.ENDPOINT[:PORT]:/PREFIX, or BUCKET:/PREFIX with -o endpoint=URL; HTTPS "
                 "unless endpoint= says http://")
      ->required();
  app.add_option("MOUNTPOINT", out.mount_point, "Directory to mount on")->required();
  app.add_option("-o", out.options, "Options, with commas between them; may be repeated")
      ->allow_extra_args(false);
  if (is_helper) {
    app.add_flag("-f", out.fake,
                 "Check SOURCE, the options and the mount point, and mount nothing; shoal doctor "
                 "SOURCE -o OPTIONS checks the store, credentials, admin port and cache "
                 "directories");
  } else {
    app.add_flag("-f,--foreground", out.foreground,
                 "Stay in the foreground, and log to stderr instead of syslog");
    app.add_flag("--json", out.json, "Print the process that serves, and warnings");
  }
  app.add_flag("-n")->description("Accepted: there is no mtab to write");
  app.add_flag("-s", out.sloppy, "Warn of options that do not exist instead of refusing them");
  app.add_flag("-v", out.verbose, "Say what was mounted");
  app.add_option("-N", out.mount_namespace,
                 "Mount namespace to mount in, as its path or a process id; files that options "
                 "name are looked up there");
  app.add_option("-t", type, "Type of the file system: fuse.TYPE is what findmnt shows");
  app.add_option("--log-level", out.log_level,
                 "trace, debug, info, warning or error; as -o log_level=");
}

bool IsTypeName(std::string_view type) {
  return !type.empty() && std::ranges::all_of(type, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
}

}  // namespace

DescribedCommand DescribeMountCommand(const MountCommandName& name) {
  MountArguments unused;
  std::string type;
  CLI::App app{std::string(kDescription)};
  Declare(app, unused, type, name.is_helper);
  return Describe(std::string(name.text), app);
}

tl::expected<MountArguments, int> ParseMountArguments(int argc, const char* const* argv,
                                                      const MountCommandName& name) {
  MountArguments out;
  std::string type(name.subtype);
  CLI::App app(std::string(kDescription), std::string(name.text));
  app.footer([] { return "\n" + OptionsAsHelp(); });
  Declare(app, out, type, name.is_helper);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // For --help it prints that, and has no more to say.
    if (error.get_exit_code() == 0) return tl::unexpected(app.exit(error));
    return tl::unexpected(Complain(name.text, kExitUsage,
                                   fmt::format("{}; see {} --help", error.what(), name.text),
                                   !name.is_helper && AsksForJson(argc, argv)));
  }
  // "fuse.alinas" and "alinas" are the same type.
  out.subtype = type.substr(type.rfind('.') + 1);
  if (!IsTypeName(out.subtype)) {
    return tl::unexpected(Complain(
        name.text, kExitUsage, fmt::format("-t: '{}' is not the name of a type", type), out.json));
  }
  return out;
}

}  // namespace shoal
