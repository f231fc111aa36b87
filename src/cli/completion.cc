#include "cli/completion.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "cli/command.h"

namespace kinglet::cli {
namespace {

/// Every flag of a command, and of those that take a value apart: what follows one of them is a file name or free text.
struct Flags {
  std::string all;
  std::string with_value;
};
Flags join_flags(const Arguments& arguments) {
  Flags flags;
  for (const Option& option : arguments.options()) {
    for (const std::string& flag : option.flags()) {
      flags.all += (flags.all.empty() ? "" : " ") + flag;
      if (option.takes_value()) flags.with_value += (flags.with_value.empty() ? "" : "|") + flag;
    }
  }
  return flags;
}

/// `text` for zsh's _arguments and _describe, inside single quotes.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == '[' || c == ']' || c == ':' || c == '\\') {
      out += {'\\', c};
    } else {
      out += c == '\n' ? ' ' : c;
    }
  }
  return out;
}

std::string bash_case(const Arguments& command) {
  const Flags flags = join_flags(command);
  std::string out = fmt::format("    {})\n      options='{}'\n", command.name(), flags.all);
  if (!flags.with_value.empty()) {
    out += fmt::format("      case \"$previous\" in {}) options='' ;; esac\n", flags.with_value);
  }
  return out + "      ;;\n";
}

/// One line of _arguments for each spelling of an option.
std::string zsh_option(const Option& option) {
  std::string out;
  for (const std::string& flag : option.flags()) {
    out += fmt::format("        '{}[{}]{}' \\\n", flag, zsh_text(option.description()),
                       option.takes_value() ? ":value:_files" : "");
  }
  return out;
}

}  // namespace

std::string bash_completion(const Arguments& root) {
  std::string names;
  std::string cases;
  for (const Arguments& command : root.commands()) {
    names += (names.empty() ? "" : " ") + command.name();
    cases += bash_case(command);
  }
  return fmt::format(R"script(# bash completion for kinglet; made by `kinglet completion bash`
_kinglet() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} options=''
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    mapfile -t COMPREPLY < <(compgen -W '{} {}' -- "$word")
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{}  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}}
complete -F _kinglet kinglet
)script",
                     names, join_flags(root).all, cases);
}

std::string zsh_completion(const Arguments& root) {
  std::string names;
  std::string cases;
  for (const Arguments& command : root.commands()) {
    names += fmt::format("    '{}:{}'\n", command.name(), zsh_text(command.description()));
    cases += fmt::format("    {})\n      _arguments \\\n", command.name());
    for (const Option& option : command.options()) cases += zsh_option(option);
    cases += "        '*:file:_files'\n      ;;\n";
  }
  return fmt::format(R"script(#compdef kinglet
# zsh completion for kinglet; made by `kinglet completion zsh`
_kinglet() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe -t commands 'command' commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{}  esac
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _kinglet "$@"
else
  compdef _kinglet kinglet
fi
)script",
                     names, cases);
}

Action setup_completion(Arguments arguments) {
  auto shell = std::make_shared<std::string>();
  arguments.option("SHELL", *shell, "bash or zsh").required().one_of({"bash", "zsh"});
  arguments.footer("Example: kinglet completion bash > ~/.local/share/bash-completion/completions/kinglet");
  return [arguments, shell]() -> Status {
    const Arguments root = arguments.program();
    fmt::print("{}", *shell == "bash" ? bash_completion(root) : zsh_completion(root));
    return ok_status();
  };
}

}  // namespace kinglet::cli
