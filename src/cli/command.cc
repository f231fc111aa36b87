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

void add_common(Arguments arguments, CommonOptions& options) {
  arguments.flag("--json", options.json, "print JSON for machines");
  arguments.option("-t,--threads", options.threads, "threads to use (default: one for each processor)").range(1, 1024);
  arguments.option("--memory", options.memory,
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
  CommandLine line("Kinglet: small language models, their whole life, on hardware you own", "kinglet",
                   fmt::format("kinglet {}", kVersion));
  struct Entry {
    std::string name;
    Action action;
  };
  std::vector<Entry> entries;
#define KINGLET_COMMAND(id, name, summary) entries.push_back({name, setup_##id(line.add_command(name, summary))});
#include "cli/commands.def"
#undef KINGLET_COMMAND
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;
  for (const Entry& entry : entries) {
    if (!line.given(entry.name)) continue;
    const Status status = guarded(entry.action);
    // A message may quote what a hostile file says.
    if (!status.ok()) fmt::print(stderr, "kinglet {}: {}\n", entry.name, one_line(status.text()));
    return exit_code(status.code());
  }
  return 0;
}

}  // namespace kinglet::cli
