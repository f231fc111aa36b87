// The processes that `mpirun` started, as train/collective.h sees them. Open MPI stays in this library, and is optional.
#pragma once

#include <memory>

#include "train/collective.h"

namespace kinglet::cluster {

/// Processes that were started together, and those of them on this machine, as the launcher says; 1 where there is none.
int launched_processes();
int launched_here();

/// Joins the processes that were started together; train::Alone where there are no others. Once in a process, and all calls
/// come from the thread that joined. Errors: unsupported where there are others and this build has no Open MPI; io.
Result<std::unique_ptr<train::Collective>> join();

}  // namespace kinglet::cluster
