#include "cli/arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "host/error.h"
#include "host/file.h"

namespace kinglet::cli {

Option Option::required() { return Option(option_->required()); }
Option Option::whole_range(int64_t low, int64_t high) { return Option(option_->check(CLI::Range(low, high))); }
Option Option::real_range(double low, double high) { return Option(option_->check(CLI::Range(low, high))); }
Option Option::positive() { return Option(option_->check(CLI::PositiveNumber)); }
Option Option::non_negative() { return Option(option_->check(CLI::NonNegativeNumber)); }
Option Option::one_of(std::vector<std::string> words) {
  return Option(option_->check(CLI::IsMember(std::move(words))));
}
Option Option::group(const std::string& heading) { return Option(option_->group(heading)); }
Option Option::show_default() { return Option(option_->capture_default_str()); }
Option Option::delimiter(char between) { return Option(option_->delimiter(between)); }
Option Option::expected(int count) { return Option(option_->expected(count)); }
Option Option::repeated() { return Option(option_->allow_extra_args(false)); }
Option Option::greedy() { return Option(option_->allow_extra_args(true)); }
Option Option::excludes(Option other) { return Option(option_->excludes(other.option_)); }
Option Option::not_in_settings() { return Option(option_->configurable(false)); }
Option Option::describe(const std::string& help) { return Option(option_->description(help)); }

bool Option::given() const { return option_->count() > 0; }
std::vector<std::string> Option::flags() const {
  std::vector<std::string> out;
  for (const std::string& name : option_->get_lnames()) out.push_back("--" + name);
  for (const std::string& name : option_->get_snames()) out.push_back("-" + name);
  return out;
}
std::string Option::description() const { return option_->get_description(); }
bool Option::takes_value() const { return option_->get_items_expected_max() > 0; }

template <class T>
Option Arguments::option(const std::string& names, T& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}
template Option Arguments::option(const std::string&, int&, const std::string&);
template Option Arguments::option(const std::string&, int64_t&, const std::string&);
template Option Arguments::option(const std::string&, uint16_t&, const std::string&);
template Option Arguments::option(const std::string&, uint32_t&, const std::string&);
template Option Arguments::option(const std::string&, uint64_t&, const std::string&);
template Option Arguments::option(const std::string&, std::optional<uint64_t>&, const std::string&);
template Option Arguments::option(const std::string&, float&, const std::string&);
template Option Arguments::option(const std::string&, double&, const std::string&);
template Option Arguments::option(const std::string&, std::string&, const std::string&);
template Option Arguments::option(const std::string&, std::vector<int>&, const std::string&);
template Option Arguments::option(const std::string&, std::vector<int64_t>&, const std::string&);
template Option Arguments::option(const std::string&, std::vector<double>&, const std::string&);
template Option Arguments::option(const std::string&, std::vector<std::string>&, const std::string&);

Option Arguments::flag(const std::string& names, bool& value, const std::string& help) {
  return Option(app_->add_flag(names, value, help));
}
Option Arguments::find(const std::string& name) { return Option(app_->get_option(name)); }
void Arguments::footer(const std::string& text) { app_->footer(text); }

std::string Arguments::name() const { return app_->get_name(); }
std::string Arguments::description() const { return app_->get_description(); }
std::vector<Option> Arguments::options() const {
  std::vector<Option> out;
  for (CLI::Option* option : app_->get_options([](const CLI::Option*) { return true; })) out.emplace_back(option);
  return out;
}
std::vector<Arguments> Arguments::commands() const {
  std::vector<Arguments> out;
  for (CLI::App* app : program().app_->get_subcommands([](const CLI::App* a) { return !a->get_name().empty(); }))
    out.emplace_back(app);
  return out;
}
Arguments Arguments::program() const { return Arguments(app_->get_parent() == nullptr ? app_ : app_->get_parent()); }

namespace {

/// Options that a settings file holds, by the name they have there.
std::vector<std::pair<std::string, const CLI::Option*>> configurable(const CLI::App& app) {
  std::vector<std::pair<std::string, const CLI::Option*>> out;
  for (const CLI::Option* option : app.get_options())
    if (option->get_configurable() && !option->get_single_name().empty() && option->get_single_name() != "help")
      out.emplace_back(option->get_single_name(), option);
  return out;
}

/// Gives `option` what `item` of a file says, unless the command line spoke or the file says nothing ("").
void take_setting(CLI::Option& option, const CLI::ConfigItem& item) {
  const bool unset =
      std::all_of(item.inputs.begin(), item.inputs.end(), [](const std::string& s) { return s.empty(); });
  if (!option.empty() || unset) return;
  if (option.get_expected_min() == 0) {
    option.add_result(option.get_flag_value(item.name, CLI::ConfigTOML().to_flag(item)));
  } else {
    option.add_result(item.inputs);
  }
  option.run_callback();
}

}  // namespace

Status Arguments::read_settings(const std::string& path) {
  if (path.empty()) return ok_status();
  if (!is_file(path)) return error(Code::not_found, "{}: no such file", path);
  try {
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(path)) {
      CLI::Option* option = item.parents.empty() ? app_->get_option_no_throw("--" + item.name) : nullptr;
      if (option == nullptr && item.parents.empty()) option = app_->get_option_no_throw(item.name);
      if (option == nullptr || !option->get_configurable())
        return error(Code::invalid_argument, "{}: there is no setting '{}'", path, item.fullname());
      take_setting(*option, item);
    }
  } catch (const CLI::Error& e) {
    return error(Code::corrupt, "{}: {}", path, e.what());
  }
  return ok_status();
}

std::string Arguments::settings_text() const { return app_->config_to_str(true, false); }

std::vector<std::pair<std::string, std::string>> Arguments::settings_list() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, option] : configurable(*app_)) {
    const std::string value =
        option->empty() ? option->get_default_str() : fmt::format("{}", fmt::join(option->results(), ", "));
    if (!value.empty()) out.emplace_back(name, value);
  }
  return out;
}

CommandLine::CommandLine(const std::string& summary, const std::string& program, const std::string& version)
    : app_(std::make_unique<CLI::App>(summary, program)) {
  app_->set_version_flag("--version", version);
  app_->require_subcommand(1);
}
CommandLine::~CommandLine() = default;

Arguments CommandLine::add_command(const std::string& name, const std::string& summary) {
  return Arguments(app_->add_subcommand(name, summary));
}
Arguments CommandLine::program() const { return Arguments(app_.get()); }
std::optional<int> CommandLine::parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app_->exit(e) == 0 ? 0 : 2;
  }
  return std::nullopt;
}
bool CommandLine::given(const std::string& command) const { return app_->get_subcommand(command)->parsed(); }

}  // namespace kinglet::cli
