#include "app/option_reference.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "app/mount_options.h"
#include "app/mount_words.h"

namespace shoal {
namespace {

std::string Words() {
  std::string out;
  for (const MountWord& word : MountWords()) {
    if (!out.empty()) out += ", ";
    out += word.name;
  }
  return out + ", x-*, comment=*, user=*";
}

std::string WithUnit(const std::string& value, Unit unit) {
  const bool shown = unit != Unit::kPath && !UnitName(unit).empty();
  return shown ? fmt::format("{} {}", value, UnitName(unit)) : value;
}

}  // namespace

std::string OptionsAsHelp() {
  std::string out = "Options (-o NAME=VALUE[,NAME=VALUE]...; a comma in a value is \\,):\n";
  const MountOptions defaults;
  ForEachOptionGroup([&](std::string_view title, auto member, const auto& declarations) {
    fmt::format_to(std::back_inserter(out), "\n{}:\n", title);
    ForEachOption(declarations, [&](const auto& option) {
      const std::string value = WithUnit(Show((defaults.*member).*(option.field)), option.unit);
      fmt::format_to(std::back_inserter(out), "  {}\n      {}{}\n", option.name, option.doc,
                     value.empty() ? "" : fmt::format(" [{}]", value));
    });
  });
  return out + "\nWords of mount(8) and fstab:\n  " + Words() + "\n";
}

std::string OptionsAsMarkdown() {
  std::string out =
      "# Mount options\n\n"
      "Made by `shoal options --markdown` from the declarations in the source; a test compares.\n"
      "Give them as `-o NAME=VALUE[,NAME=VALUE]...`; a comma in a value is written `\\,`.\n";
  const MountOptions defaults;
  ForEachOptionGroup([&](std::string_view title, auto member, const auto& declarations) {
    fmt::format_to(std::back_inserter(out),
                   "\n## {}\n\n| Option | Default | Unit | Meaning |\n|---|---|---|---|\n", title);
    ForEachOption(declarations, [&](const auto& option) {
      const std::string value = Show((defaults.*member).*(option.field));
      fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} |\n", option.name,
                     value.empty() ? "" : "`" + value + "`", UnitName(option.unit), option.doc);
    });
  });
  return out + "\n## Words of mount(8) and fstab\n\nAccepted: " + Words() +
         ".\nThe mount is read-only, nosuid and nodev whatever they say.\n";
}

}  // namespace shoal
