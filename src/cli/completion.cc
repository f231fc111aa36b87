#include "cli/completion.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "cli/command.h"

namespace kinglet::cli {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& root) {
  return root.get_subcommands([](const CLI::App* app) { return !app->get_name().empty(); });
}

/// "--long" and "-s" of every option; positional words have neither.
std::vector<std::string> flags_of(const CLI::Option& option) {
  std::vector<std::string> flags;
  for (const std::string& name : option.get_lnames()) flags.push_back("--" + name);
  for (const std::string& name : option.get_snames()) flags.push_back("-" + name);
  return flags;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

/// Every flag of `app`, and of those that take a value apart: what follows one of them is a file name or free text.
struct Flags {
  std::string all;
  std::string with_value;
};
Flags join_flags(const CLI::App& app) {
  Flags flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& flag : flags_of(*option)) {
      flags.all += (flags.all.empty() ? "" : " ") + flag;
      if (takes_value(*option)) flags.with_value += (flags.with_value.empty() ? "" : "|") + flag;
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

std::string bash_case(const CLI::App& command) {
  const Flags flags = join_flags(command);
  std::string out = fmt::format("    {})\n      options='{}'\n", command.get_name(), flags.all);
  if (!flags.with_value.empty()) {
    out += fmt::format("      case \"$previous\" in {}) options='' ;; esac\n", flags.with_value);
  }
  return out + "      ;;\n";
}

/// One line of _arguments for each spelling of an option.
std::string zsh_option(const CLI::Option& option) {
  std::string out;
  for (const std::string& flag : flags_of(option)) {
    out += fmt::format("        '{}[{}]{}' \\\n", flag, zsh_text(option.get_description()),
                       takes_value(option) ? ":value:_files" : "");
  }
  return out;
}

}  // namespace

std::string bash_completion(const CLI::App& root) {
  std::string names;
  std::string cases;
  for (const CLI::App* command : commands_of(root)) {
    names += (names.empty() ? "" : " ") + command->get_name();
    cases += bash_case(*command);
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

std::string zsh_completion(const CLI::App& root) {
  std::string names;
  std::string cases;
  for (const CLI::App* command : commands_of(root)) {
    names += fmt::format("    '{}:{}'\n", command->get_name(), zsh_text(command->get_description()));
    cases += fmt::format("    {})\n      _arguments \\\n", command->get_name());
    for (const CLI::Option* option : command->get_options()) cases += zsh_option(*option);
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

Action setup_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
  app.footer("Example: kinglet completion bash > ~/.local/share/bash-completion/completions/kinglet");
  return [&app, shell]() -> Status {
    const CLI::App& root = *app.get_parent();
    fmt::print("{}", *shell == "bash" ? bash_completion(root) : zsh_completion(root));
    return ok_status();
  };
}

}  // namespace kinglet::cli
