#include "cli/command.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/version.h"
#include "cli/exit_code.h"
#include "cli/run_main.h"

namespace kinglet::cli {

void add_common(CLI::App& app, CommonOptions& options) {
  app.add_flag("--json", options.json, "print JSON for machines");
  app.add_option("-t,--threads", options.threads, "threads to use (default: one for each processor)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--memory", options.memory, "hold the memory ledger to this much, e.g. 6G, or refuse with the breakdown");
}

int run_main(int argc, char** argv) {
  CLI::App app{"Kinglet: small language models, their whole life, on hardware you own", "kinglet"};
  app.set_version_flag("--version", std::string("kinglet ") + kVersion);
  app.require_subcommand(1);
  struct Entry {
    CLI::App* app;
    Action action;
  };
  std::vector<Entry> entries;
#define KINGLET_COMMAND(id, name, summary)               \
  {                                                      \
    CLI::App* sub = app.add_subcommand(name, summary);   \
    entries.push_back({sub, setup_##id(*sub)});          \
  }
#include "cli/commands.def"
#undef KINGLET_COMMAND
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  for (const Entry& entry : entries) {
    if (!entry.app->parsed()) continue;
    const Status status = entry.action();
    if (!status.ok()) fmt::print(stderr, "kinglet {}: {}\n", entry.app->get_name(), status.text());
    return exit_code(status.code());
  }
  return 0;
}

}  // namespace kinglet::cli
