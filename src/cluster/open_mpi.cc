#include "cluster/open_mpi.h"

#include "host/error.h"

#ifdef KINGLET_HAVE_MPI
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <vector>
#endif

namespace kinglet::cluster {

#ifdef KINGLET_HAVE_MPI
namespace {

Status check(int code, const char* what) {
  if (code == MPI_SUCCESS) return ok_status();
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  return error(Code::io, "Open MPI: {} failed: {}", what, std::string_view(text, static_cast<size_t>(length)));
}

class OpenMpi final : public train::Collective {
 public:
  OpenMpi() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  }
  ~OpenMpi() override {
    if (left_) MPI_Finalize();
    else MPI_Abort(MPI_COMM_WORLD, 1);
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Status begin_sum(std::span<float> values) override {
    constexpr size_t kMost = size_t{1} << 30;  // MPI counts in int
    for (size_t begin = 0; begin < values.size(); begin += kMost) {
      const auto part = values.subspan(begin, std::min(kMost, values.size() - begin));
      KL_TRY(check(MPI_Iallreduce(MPI_IN_PLACE, part.data(), static_cast<int>(part.size()), MPI_FLOAT, MPI_SUM,
                                  MPI_COMM_WORLD, &sums_.emplace_back()),
                   "a sum of gradients"));
    }
    return ok_status();
  }
  Status advance() override {
    if (sums_.empty()) return ok_status();
    int done = 0;  // Open MPI moves data inside its calls
    return check(MPI_Testall(static_cast<int>(sums_.size()), sums_.data(), &done, MPI_STATUSES_IGNORE),
                 "a sum of gradients");
  }
  Status finish_sums() override {
    const Status status =
        check(MPI_Waitall(static_cast<int>(sums_.size()), sums_.data(), MPI_STATUSES_IGNORE), "a sum of gradients");
    sums_.clear();
    return status;
  }
  Status sum(std::span<double> values) override {
    return check(MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_DOUBLE, MPI_SUM,
                               MPI_COMM_WORLD),
                 "a sum");
  }
  void leave() override { left_ = true; }

 private:
  int rank_ = 0, size_ = 1;
  bool left_ = false;
  std::vector<MPI_Request> sums_;
};

}  // namespace

Result<std::unique_ptr<train::Collective>> join_open_mpi() {
  int given = 0;  // calls come from the thread that joined
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS || given < MPI_THREAD_FUNNELED)
    return Status(Code::io, "Open MPI does not start");
  return std::unique_ptr<train::Collective>(std::make_unique<OpenMpi>());
}

#else

Result<std::unique_ptr<train::Collective>> join_open_mpi() {
  return error(Code::unsupported,
               "mpirun started {} processes, and this build has no Open MPI: configure it with -DKINGLET_MPI=ON "
               "(Debian: libopenmpi-dev)",
               launched_processes());
}

#endif

}  // namespace kinglet::cluster
