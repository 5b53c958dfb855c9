// Manual pages and shell completions, made from the declarations of the commands. Pure.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

struct DescribedOption {
  std::vector<std::string> names;  // "-o", "--json"; empty for an argument
  std::string argument;            // how its value is called; empty for a flag
  std::string doc;
  bool is_required = false;
  std::vector<std::string> choices;  // what its value may be; empty for anything
};

struct DescribedCommand {
  std::string name;  // "shoal warmup load", "mount.alinas"
  std::string doc;
  std::string notes;  // what --help says at its end; may be empty
  std::vector<DescribedOption> options;
  std::vector<DescribedOption> arguments;
};

// `app` as its command declared it.
DescribedCommand Describe(std::string name, const CLI::App& app);

struct ManualPage {
  std::string name;  // "shoal"
  int section = 1;
  std::string title;  // one line, as in NAME
  std::vector<DescribedCommand> commands;
  std::string more;  // roff, put before SEE ALSO
  std::string see_also;
};
// For man(1), in roff's man macros.
std::string AsRoff(const ManualPage& page, std::string_view version);
// Text as roff, with nothing of it taken for a request.
std::string RoffText(std::string_view text);

// Of all programs that the commands name. `mount_options` are the names that may follow -o.
std::string BashCompletion(const std::vector<DescribedCommand>& commands,
                           const std::vector<std::string>& mount_options);
std::string ZshCompletion(const std::vector<DescribedCommand>& commands,
                          const std::vector<std::string>& mount_options);
std::string FishCompletion(const std::vector<DescribedCommand>& commands,
                           const std::vector<std::string>& mount_options);

}  // namespace shoal
