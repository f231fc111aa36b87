// Internal to cluster/: the one door to Open MPI.
#pragma once

#include "cluster/cluster.h"

namespace kinglet::cluster {

Result<std::unique_ptr<train::Collective>> join_open_mpi();

}  // namespace kinglet::cluster
