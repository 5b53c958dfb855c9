#include "cli/manual.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace shoal {
namespace {

DescribedOption DescribeOption(const CLI::Option& option) {
  DescribedOption described;
  if (!option.get_positional()) {
    for (const std::string& name : option.get_snames()) described.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) described.names.push_back("--" + name);
  }
  if (option.get_positional()) {
    described.argument = option.get_name(/*positional=*/true);
    if (option.get_items_expected_max() > 1) described.argument += "...";
  } else if (option.get_items_expected_max() > 0) {
    described.argument = "VALUE";
  }
  described.doc = option.get_description();
  described.is_required = option.get_required();
  return described;
}

std::string Joined(const std::vector<std::string>& words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

std::string Synopsis(const DescribedCommand& command) {
  std::string out = ".B " + RoffText(command.name) + "\n";
  for (const DescribedOption& option : command.options) {
    if (option.names.empty() || option.names.front() == "-h") continue;
    out += fmt::format("[\\fB{}\\fR{}]\n", RoffText(option.names.front()),
                       option.argument.empty() ? "" : " \\fI" + RoffText(option.argument) + "\\fR");
  }
  for (const DescribedOption& argument : command.arguments) {
    const std::string name = "\\fI" + RoffText(argument.argument) + "\\fR";
    out += argument.is_required ? name + "\n" : "[" + name + "]\n";
  }
  return out + ".br\n";
}

std::string OptionList(const DescribedCommand& command) {
  std::string out;
  for (const DescribedOption& argument : command.arguments)
    out += fmt::format(".TP\n.I {}\n{}.\n", RoffText(argument.argument), RoffText(argument.doc));
  for (const DescribedOption& option : command.options) {
    std::vector<std::string> names;
    for (const std::string& name : option.names) names.push_back("\\fB" + RoffText(name) + "\\fR");
    out += fmt::format(".TP\n{}{}\n{}.\n", Joined(names, ", "),
                       option.argument.empty() ? "" : " \\fI" + RoffText(option.argument) + "\\fR",
                       RoffText(option.doc));
  }
  return out;
}

// What follows "shoal " in a command's name.
std::string SubcommandOf(const DescribedCommand& command) {
  const size_t space = command.name.find(' ');
  return space == std::string::npos ? "" : command.name.substr(space + 1);
}

bool TakesMountOptions(const DescribedCommand& command) {
  return std::ranges::any_of(command.options, [](const DescribedOption& option) {
    return std::ranges::find(option.names, "-o") != option.names.end();
  });
}

std::vector<std::string> OptionNames(const DescribedCommand& command) {
  std::vector<std::string> names;
  for (const DescribedOption& option : command.options)
    names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

// The first words of the commands, each once.
std::vector<std::string> FirstWords(const std::vector<DescribedCommand>& commands) {
  std::vector<std::string> words;
  for (const DescribedCommand& command : commands) {
    const std::string name = SubcommandOf(command);
    const std::string word = name.substr(0, name.find(' '));
    if (!word.empty() && std::ranges::find(words, word) == words.end()) words.push_back(word);
  }
  return words;
}

// The second words of "shoal WORD ...".
std::vector<std::string> SecondWords(const std::vector<DescribedCommand>& commands,
                                     const std::string& first) {
  std::vector<std::string> words;
  for (const DescribedCommand& command : commands) {
    const std::string name = SubcommandOf(command);
    if (name.starts_with(first + " ")) words.push_back(name.substr(first.size() + 1));
  }
  return words;
}

// In single quotes of a shell.
std::string Quoted(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + out + "'";
}

}  // namespace

DescribedCommand Describe(std::string name, const CLI::App& app) {
  DescribedCommand command{std::move(name), app.get_description(), app.get_footer(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    DescribedOption described = DescribeOption(*option);
    (described.names.empty() ? command.arguments : command.options).push_back(described);
  }
  return command;
}

std::string RoffText(std::string_view text) {
  std::string out;
  bool at_line_start = true;
  for (const char c : text) {
    if (at_line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    at_line_start = c == '\n';
  }
  return out;
}

std::string AsRoff(const ManualPage& page, std::string_view version) {
  std::string upper = page.name;
  std::ranges::transform(upper, upper.begin(), [](char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  std::string out =
      fmt::format(".TH {} {} \"\" \"shoal {}\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n", upper,
                  page.section, version, RoffText(page.name), RoffText(page.title));
  for (const DescribedCommand& command : page.commands) out += Synopsis(command);
  out += ".SH DESCRIPTION\n";
  for (const DescribedCommand& command : page.commands) {
    if (page.commands.size() > 1) out += ".SS " + RoffText(command.name) + "\n";
    out += RoffText(command.doc) + "\n" + OptionList(command);
    if (!command.notes.empty()) out += ".PP\n" + RoffText(command.notes) + "\n";
  }
  return out + page.more + ".SH SEE ALSO\n" + RoffText(page.see_also) + "\n";
}

std::string BashCompletion(const std::vector<DescribedCommand>& commands,
                           const std::vector<std::string>& mount_options) {
  std::string out =
      "# bash completion of shoal, made by `shoal completion bash`\n"
      "_shoal() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local first=${COMP_WORDS[1]} second=${COMP_WORDS[2]} options= words=\n"
      "  COMPREPLY=()\n";
  out += fmt::format(
      "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
      "    COMPREPLY=($(compgen -W '{}' -- \"$word\")); return\n  fi\n",
      Joined(FirstWords(commands), " "));
  out += "  case $first in\n";
  for (const std::string& first : FirstWords(commands)) {
    const std::vector<std::string> seconds = SecondWords(commands, first);
    if (seconds.empty()) continue;
    out += fmt::format(
        "    {}) if [ \"$COMP_CWORD\" = 2 ]; then COMPREPLY=($(compgen -W '{}' -- \"$word\")); "
        "return; fi; words=\"$first $second\" ;;\n",
        first, Joined(seconds, " "));
  }
  out += "    *) words=$first ;;\n  esac\n  case $words in\n";
  for (const DescribedCommand& command : commands) {
    if (SubcommandOf(command).empty()) continue;
    out += fmt::format("    {}) options={} ;;\n", Quoted(SubcommandOf(command)),
                       Quoted(Joined(OptionNames(command), " ")));
  }
  out += "  esac\n";
  std::vector<std::string> assignments;
  for (const std::string& name : mount_options) assignments.push_back(name + "=");
  out += fmt::format(
      "  if [ \"$before\" = -o ]; then\n"
      "    local head=; case $word in *,*) head=${{word%,*}}, ;; esac\n"
      "    COMPREPLY=($(compgen -P \"$head\" -W {} -- \"${{word##*,}}\"))\n"
      "    compopt -o nospace 2>/dev/null\n    return\n  fi\n",
      Quoted(Joined(assignments, " ")));
  out +=
      "  case $word in\n"
      "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
      "    *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
      "  esac\n"
      "}\n"
      "complete -F _shoal shoal\n";
  return out;
}

std::string ZshCompletion(const std::vector<DescribedCommand>& commands,
                          const std::vector<std::string>& mount_options) {
  std::string out =
      "#compdef shoal\n# zsh completion of shoal, made by `shoal completion zsh`\n"
      "_shoal() {\n  local words_given=\"${words[2]}\"\n  if (( CURRENT == 2 )); then\n";
  out += fmt::format("    compadd -- {}; return\n  fi\n", Joined(FirstWords(commands), " "));
  out += "  case ${words[2]} in\n";
  for (const std::string& first : FirstWords(commands)) {
    const std::vector<std::string> seconds = SecondWords(commands, first);
    if (seconds.empty()) continue;
    out += fmt::format(
        "    {}) if (( CURRENT == 3 )); then compadd -- {}; return; fi; "
        "words_given=\"${{words[2]}} ${{words[3]}}\" ;;\n",
        first, Joined(seconds, " "));
  }
  out += "  esac\n";
  std::vector<std::string> assignments;
  for (const std::string& name : mount_options) assignments.push_back(name + "=");
  out += fmt::format(
      "  if [[ ${{words[CURRENT-1]}} == -o ]]; then\n    compset -P '*,'; compadd -S '' -- {}; "
      "return\n  fi\n",
      Joined(assignments, " "));
  out += "  if [[ ${words[CURRENT]} != -* ]]; then _files; return; fi\n  case $words_given in\n";
  for (const DescribedCommand& command : commands) {
    if (SubcommandOf(command).empty()) continue;
    out += fmt::format("    {}) compadd -- {} ;;\n", Quoted(SubcommandOf(command)),
                       Joined(OptionNames(command), " "));
  }
  return out + "  esac\n}\n_shoal \"$@\"\n";
}

std::string FishCompletion(const std::vector<DescribedCommand>& commands,
                           const std::vector<std::string>& mount_options) {
  std::string out = "# fish completion of shoal, made by `shoal completion fish`\n";
  for (const std::string& first : FirstWords(commands)) {
    std::string doc;
    for (const DescribedCommand& command : commands)
      if (SubcommandOf(command) == first) doc = command.doc;
    out +=
        fmt::format("complete -c shoal -n __fish_use_subcommand -a {} -d {}\n", first, Quoted(doc));
    for (const std::string& second : SecondWords(commands, first))
      out += fmt::format("complete -c shoal -n '__fish_seen_subcommand_from {}' -a {}\n", first,
                         second);
  }
  for (const DescribedCommand& command : commands) {
    const std::string name = SubcommandOf(command);
    if (name.empty()) continue;
    std::string condition;
    for (size_t begin = 0; begin < name.size();) {
      const size_t end = std::min(name.find(' ', begin), name.size());
      if (!condition.empty()) condition += "; and ";
      condition += "__fish_seen_subcommand_from " + name.substr(begin, end - begin);
      begin = end + 1;
    }
    for (const DescribedOption& option : command.options) {
      std::string line = fmt::format("complete -c shoal -n {}", Quoted(condition));
      for (const std::string& word : option.names)
        line += word.starts_with("--") ? " -l " + word.substr(2) : " -s " + word.substr(1);
      if (!option.argument.empty()) line += " -r";
      out += line + " -d " + Quoted(option.doc) + "\n";
    }
    if (!TakesMountOptions(command)) continue;
    for (const std::string& option : mount_options)
      out += fmt::format("complete -c shoal -n {} -s o -r -a {}\n", Quoted(condition),
                         Quoted(option + "="));
  }
  return out;
}

}  // namespace shoal
