#include "cli/command.h"

#include <fmt/format.h>

#include <cstdio>
#include <new>
#include <system_error>

#include "base/version.h"
#include "cli/exit_code.h"
#include "cli/run_main.h"
#include "cli/table.h"
#include "host/error.h"

namespace kinglet::cli {

void add_common(CLI::App& app, CommonOptions& options) {
  app.add_flag("--json", options.json, "print JSON for machines");
  app.add_option("-t,--threads", options.threads, "threads to use (default: one for each processor)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--memory", options.memory,
                 "hold the memory ledger to this much, e.g. 6G, or refuse with the breakdown");
}

namespace {

/// Libraries return errors as values; what the standard library and fmt throw (no memory, an output that cannot be written) ends here.
Status guarded(const Action& action) {
  try {
    KL_TRY(action());
  } catch (const std::bad_alloc&) {
    return Status(Code::resource_exhausted, "out of memory");
  } catch (const std::system_error& e) {
    return error(Code::io, "cannot write the output: {}", e.code().message());
  } catch (const std::exception& e) {
    return error(Code::internal, "{}", e.what());
  }
  // What is still buffered may not fit on a full disk.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return Status(Code::io, "cannot write the output");
  return ok_status();
}

}  // namespace

int run_main(int argc, char** argv) {
  CLI::App app{"Kinglet: small language models, their whole life, on hardware you own", "kinglet"};
  app.set_version_flag("--version", std::string("kinglet ") + kVersion);
  app.require_subcommand(1);
  struct Entry {
    CLI::App* app;
    Action action;
  };
  std::vector<Entry> entries;
#define KINGLET_COMMAND(id, name, summary) \
  { \
    CLI::App* sub = app.add_subcommand(name, summary); \
    entries.push_back({sub, setup_##id(*sub)}); \
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
    const Status status = guarded(entry.action);
    // A message may quote what a hostile file says.
    if (!status.ok()) fmt::print(stderr, "kinglet {}: {}\n", entry.app->get_name(), one_line(status.text()));
    return exit_code(status.code());
  }
  return 0;
}

}  // namespace kinglet::cli
