// The words of the command line: what a command declares, what was given, and the settings file that says the same.
// A thin face over CLI11, whose headers cost every file that includes them seconds: only arguments.cc does.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kinglet::cli {

/// One declared option or positional word; a handle, valid as long as the CommandLine it belongs to. What narrows it
/// returns it, so that the words follow each other.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required();
  /// Refuses a number outside [low, high].
  template <std::integral T>
  Option range(T low, T high) {
    return whole_range(static_cast<int64_t>(low), static_cast<int64_t>(high));
  }
  template <std::floating_point T>
  Option range(T low, T high) {
    return real_range(low, high);
  }
  Option positive();
  Option non_negative();
  Option one_of(std::vector<std::string> words);
  /// The heading under which --help lists it.
  Option group(const std::string& heading);
  /// --help shows the value that the variable has now.
  Option show_default();
  /// One word holds several values, e.g. "1,2,3".
  Option delimiter(char between);
  /// Exactly `count` values.
  Option expected(int count);
  /// May be given several times, with one value each time: what follows the value is another word.
  Option repeated();
  /// Takes every value that follows it.
  Option greedy();
  Option excludes(Option other);
  /// No setting of a run: files of settings do not hold it.
  Option not_in_settings();
  Option describe(const std::string& help);

  [[nodiscard]] bool given() const;
  /// "--long" and "-s" of every spelling; a positional word has neither.
  [[nodiscard]] std::vector<std::string> flags() const;
  [[nodiscard]] std::string description() const;
  [[nodiscard]] bool takes_value() const;

 private:
  Option whole_range(int64_t low, int64_t high);
  Option real_range(double low, double high);

  CLI::Option* option_;
};

/// The words of one command, or of the program; a handle like Option.
class Arguments {
 public:
  explicit Arguments(CLI::App* app) : app_(app) {}

  /// `names`: "-t,--threads", or "MODEL" for a positional word. `value` is written when the words are parsed and must live until then.
  /// T: one of those that arguments.cc lists (the linker names one that is missing there).
  template <class T>
  Option option(const std::string& names, T& value, const std::string& help);
  Option flag(const std::string& names, bool& value, const std::string& help);
  /// An option declared before. `name`: as "--ctx".
  Option find(const std::string& name);
  /// What --help ends with.
  void footer(const std::string& text);

  [[nodiscard]] std::string name() const;
  [[nodiscard]] std::string description() const;
  [[nodiscard]] std::vector<Option> options() const;
  /// The program's commands, also when this is one of them.
  [[nodiscard]] std::vector<Arguments> commands() const;
  /// The program's own words.
  [[nodiscard]] Arguments program() const;

  /// Takes from the TOML file `path` what the command line did not say; an empty path says nothing. Errors: not_found, corrupt,
  /// invalid_argument (a word that the command does not have), with the file's name.
  Status read_settings(const std::string& path);
  /// Every setting, as a file that read_settings() takes.
  [[nodiscard]] std::string settings_text() const;
  /// The same for reading: names and values.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> settings_list() const;

 private:
  CLI::App* app_;
};

/// The whole command line: a program with commands, one of which must be given.
class CommandLine {
 public:
  CommandLine(const std::string& summary, const std::string& program, const std::string& version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Arguments add_command(const std::string& name, const std::string& summary);
  [[nodiscard]] Arguments program() const;
  /// Reads the words. Returns the exit code where that ends the program (help, version, or words it cannot take: 2), after having
  /// printed what is to say.
  std::optional<int> parse(int argc, const char* const* argv);
  [[nodiscard]] bool given(const std::string& command) const;

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace kinglet::cli
