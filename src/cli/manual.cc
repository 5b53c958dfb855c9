#include "cli/manual.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace shoal {
namespace {

// Of "TEXT:{bash,zsh,fish}", as CLI11 has it of IsMember.
std::vector<std::string> ChoicesOf(std::string_view type) {
  std::vector<std::string> choices;
  const size_t begin = type.find('{');
  const size_t end = type.find('}', begin);
  if (begin == std::string_view::npos || end == std::string_view::npos) return choices;
  std::string_view rest = type.substr(begin + 1, end - begin - 1);
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    choices.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return choices;
}

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
  described.choices = ChoicesOf(option.get_type_name());
  return described;
}

std::string Joined(const std::vector<std::string>& words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

std::string Synopsis(const DescribedCommand& command) {
  std::string out = ".B " + RoffText(command.name) + "\n";
  for (const DescribedOption& option : command.options) {
    if (option.names.empty() || option.names.front() == "-h") continue;
    const std::string word =
        "\\fB" + RoffText(option.names.front()) + "\\fR" +
        (option.argument.empty() ? "" : " \\fI" + RoffText(option.argument) + "\\fR");
    out += option.is_required ? word + "\n" : "[" + word + "]\n";
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

std::string_view FirstWordOf(std::string_view name) {
  return name.substr(0, name.find(' '));
}

// What follows the program in a command's name.
std::string SubcommandOf(const DescribedCommand& command) {
  const size_t space = command.name.find(' ');
  return space == std::string::npos ? "" : command.name.substr(space + 1);
}

// Each once.
std::vector<std::string> ProgramsOf(const std::vector<DescribedCommand>& commands) {
  std::vector<std::string> programs;
  for (const DescribedCommand& command : commands) {
    std::string program(FirstWordOf(command.name));
    if (std::ranges::find(programs, program) == programs.end())
      programs.push_back(std::move(program));
  }
  return programs;
}

// What may follow the words `begin` of commands' names, each once.
std::vector<std::string> WordsAfter(const std::vector<DescribedCommand>& commands,
                                    const std::string& begin) {
  std::vector<std::string> words;
  for (const DescribedCommand& command : commands) {
    if (!command.name.starts_with(begin + " ")) continue;
    std::string word(FirstWordOf(std::string_view(command.name).substr(begin.size() + 1)));
    if (std::ranges::find(words, word) == words.end()) words.push_back(std::move(word));
  }
  return words;
}

// Of an argument of the command that has them.
std::vector<std::string> ArgumentChoices(const DescribedCommand& command) {
  for (const DescribedOption& argument : command.arguments)
    if (!argument.choices.empty()) return argument.choices;
  return {};
}

std::vector<std::string> OptionNames(const DescribedCommand& command) {
  std::vector<std::string> names;
  for (const DescribedOption& option : command.options)
    names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
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
      R"(# bash completion of shoal, made by `shoal completion bash`

# The words up to the cursor as they were typed: readline breaks them at = and : as well.
_shoal_words() {
  local line=$COMP_LINE i piece
  for ((i = 0; i <= COMP_CWORD; i++)); do
    piece=${COMP_WORDS[i]}
    if ((i > 0)) && [[ $line != [[:space:]]* ]]; then
      words[${#words[@]}-1]+=$piece
    else
      words+=("$piece")
    fi
    line=${line#"${line%%[![:space:]]*}"}
    line=${line#"$piece"}
  done
}

_shoal_offer() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word")
}

_shoal_files() {
  local plain=${word#"$broken"}
  plain=${plain#[\"\']}
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -P "${broken#"$kept"}" -f -- "${plain//\\/}")
}

_shoal() {
  local words=() options= before=
  _shoal_words
  local count=${#words[@]}
  local word=${words[count-1]} command=${words[0]##*/}
  ((count > 1)) && before=${words[count-2]}
  # What readline leaves as it is when it puts in what is offered.
  local broken=${word%"${word##*[=:]}"} kept=
  [[ $COMP_WORDBREAKS == *=* ]] && kept=$broken
  COMPREPLY=()
  if ((count < 2)); then return; fi
  case $command in
)";
  for (const std::string& program : ProgramsOf(commands)) {
    const std::vector<std::string> words = WordsAfter(commands, program);
    if (words.empty()) continue;
    out += fmt::format(
        "    {}) if ((count == 2)); then _shoal_offer {}; return; fi\n"
        "      command+=\" ${{words[1]}}\" ;;\n",
        program, Quoted(Joined(words, " ")));
  }
  out += "  esac\n  case $command in\n";
  for (const std::string& program : ProgramsOf(commands))
    for (const std::string& first : WordsAfter(commands, program)) {
      const std::vector<std::string> words = WordsAfter(commands, program + " " + first);
      if (words.empty()) continue;
      out += fmt::format(
          "    {}) if ((count == 3)); then _shoal_offer {}; return; fi\n"
          "      command+=\" ${{words[2]}}\" ;;\n",
          Quoted(program + " " + first), Quoted(Joined(words, " ")));
    }
  out += "  esac\n  case \"$command $before\" in\n";
  for (const DescribedCommand& command : commands)
    for (const DescribedOption& option : command.options)
      if (!option.choices.empty())
        for (const std::string& name : option.names)
          out +=
              fmt::format("    {}) _shoal_offer {}; return ;;\n", Quoted(command.name + " " + name),
                          Quoted(Joined(option.choices, " ")));
  out += "  esac\n  case $command in\n";
  for (const DescribedCommand& command : commands)
    out += fmt::format("    {}) options={} ;;\n", Quoted(command.name),
                       Quoted(Joined(OptionNames(command), " ")));
  std::vector<std::string> assignments;
  for (const std::string& name : mount_options) assignments.push_back(name + "=");
  out += fmt::format(R"(  esac
  if [[ $before == -o && " $options " == *' -o '* ]]; then
    local item=${{word##*,}}
    if [[ $item == *=* ]]; then _shoal_files; return; fi
    local head=${{word%"$item"}}
    mapfile -t COMPREPLY < <(compgen -P "${{head#"$kept"}}" -W {} -- "$item")
    compopt -o nospace 2>/dev/null
    return
  fi
  case $word in
    -*) _shoal_offer "$options"; return ;;
  esac
  case $command in
)",
                     Quoted(Joined(assignments, " ")));
  for (const DescribedCommand& command : commands)
    if (const auto choices = ArgumentChoices(command); !choices.empty())
      out += fmt::format("    {}) _shoal_offer {}; return ;;\n", Quoted(command.name),
                         Quoted(Joined(choices, " ")));
  return out + "  esac\n  _shoal_files\n}\ncomplete -F _shoal " +
         Joined(ProgramsOf(commands), " ") + "\n";
}

std::string ZshCompletion(const std::vector<DescribedCommand>& commands,
                          const std::vector<std::string>& mount_options) {
  std::string out = fmt::format(
      "#compdef {}\n# zsh completion of shoal, made by `shoal completion zsh`\n"
      "_shoal() {{\n  local command=${{words[1]:t}}\n",
      Joined(ProgramsOf(commands), " "));
  const auto offer_words = [&](const std::string& begin, int at) {
    const std::vector<std::string> words = WordsAfter(commands, begin);
    if (words.empty()) return;
    out += fmt::format(
        "  if [[ $command == {} ]]; then\n"
        "    if (( CURRENT == {} )); then compadd -- {}; return; fi\n"
        "    command+=\" ${{words[{}]}}\"\n  fi\n",
        Quoted(begin), at, Joined(words, " "), at);
  };
  for (const std::string& program : ProgramsOf(commands)) {
    offer_words(program, 2);
    for (const std::string& first : WordsAfter(commands, program))
      offer_words(program + " " + first, 3);
  }
  std::vector<std::string> assignments;
  for (const std::string& name : mount_options) assignments.push_back(name + "=");
  out += "  case \"$command ${words[CURRENT-1]}\" in\n";
  for (const DescribedCommand& command : commands)
    for (const DescribedOption& option : command.options)
      for (const std::string& name : option.names) {
        if (!option.choices.empty())
          out += fmt::format("    {}) compadd -- {}; return ;;\n",
                             Quoted(command.name + " " + name), Joined(option.choices, " "));
        if (name == "-o")
          out += fmt::format("    {}) compset -P '*,'; compadd -S '' -- {}; return ;;\n",
                             Quoted(command.name + " " + name), Joined(assignments, " "));
      }
  out += "  esac\n  if [[ ${words[CURRENT]} != -* ]]; then\n    case $command in\n";
  for (const DescribedCommand& command : commands)
    if (const auto choices = ArgumentChoices(command); !choices.empty())
      out += fmt::format("      {}) compadd -- {}; return ;;\n", Quoted(command.name),
                         Joined(choices, " "));
  out += "    esac\n    _files; return\n  fi\n  case $command in\n";
  for (const DescribedCommand& command : commands)
    out += fmt::format("    {}) compadd -- {} ;;\n", Quoted(command.name),
                       Joined(OptionNames(command), " "));
  return out + "  esac\n}\n_shoal \"$@\"\n";
}

std::string FishCompletion(const std::vector<DescribedCommand>& commands,
                           const std::vector<std::string>& mount_options) {
  std::vector<std::string> assignments;
  for (const std::string& name : mount_options) assignments.push_back(name + "=");
  std::string out = fmt::format(
      "# fish completion of shoal, made by `shoal completion fish`\n"
      "function __shoal_mount_options\n"
      "  set -l head (string replace -r '^-o' '' -- (commandline -ct) | "
      "string replace -r '[^,]*$' '')\n"
      "  for name in {}\n    echo \"$head$name\"\n  end\nend\n",
      Joined(assignments, " "));
  for (const std::string& program : ProgramsOf(commands))
    for (const std::string& first : WordsAfter(commands, program)) {
      const std::string name = program + " " + first;
      std::string doc;
      for (const DescribedCommand& command : commands)
        if (command.name == name) doc = command.doc;
      out += fmt::format("complete -c {} -n __fish_use_subcommand -f -a {} -d {}\n", program, first,
                         Quoted(doc));
      const std::string seconds = Joined(WordsAfter(commands, name), " ");
      if (!seconds.empty())
        out += fmt::format(
            "complete -c {} -n '__fish_seen_subcommand_from {}; and not "
            "__fish_seen_subcommand_from {}' -f -a '{}'\n",
            program, first, seconds, seconds);
    }
  for (const DescribedCommand& command : commands) {
    const std::string program(FirstWordOf(command.name));
    std::string condition;
    const std::string name = SubcommandOf(command);
    for (size_t begin = 0; begin < name.size();) {
      const size_t end = std::min(name.find(' ', begin), name.size());
      if (!condition.empty()) condition += "; and ";
      condition += "__fish_seen_subcommand_from " + name.substr(begin, end - begin);
      begin = end + 1;
    }
    const std::string start =
        "complete -c " + program + (condition.empty() ? "" : " -n " + Quoted(condition));
    if (const auto choices = ArgumentChoices(command); !choices.empty())
      out += fmt::format("{} -f -a {}\n", start, Quoted(Joined(choices, " ")));
    for (const DescribedOption& option : command.options) {
      std::string line = start;
      for (const std::string& word : option.names)
        line += word.starts_with("--") ? " -l " + word.substr(2) : " -s " + word.substr(1);
      if (!option.argument.empty()) line += " -r";
      if (!option.choices.empty()) line += " -f -a " + Quoted(Joined(option.choices, " "));
      if (std::ranges::find(option.names, "-o") != option.names.end())
        line += " -f -a '(__shoal_mount_options)'";
      out += line + " -d " + Quoted(option.doc) + "\n";
    }
  }
  return out;
}

}  // namespace shoal
