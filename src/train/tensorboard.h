// TensorBoard event files: TFRecord frames around tensorflow.Event messages.
// Source: tensorflow/core/lib/io/record_writer.h and core/util/event.proto, framework/summary.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "train/log.h"

namespace kinglet::train {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4).
uint32_t crc32c(std::string_view bytes);

/// A frame: the length (8 bytes), its masked CRC, the bytes, their masked CRC.
std::string tfrecord(std::string_view bytes);

using Scalar = std::pair<std::string_view, double>;  ///< tag and value

/// Event messages. `wall_time` in seconds since 1970.
std::string version_event(double wall_time);
/// Tells TensorBoard to forget what an earlier file said of steps from `step` on.
std::string restart_event(double wall_time, int64_t step);
std::string scalars_event(double wall_time, int64_t step, const std::vector<Scalar>& scalars);

class EventFile {
 public:
  /// Makes `folder`/events.out.tfevents.TIME.kinglet.PROCESS for a run that goes on at `first_step`. Errors: io.
  static Result<EventFile> create(const std::string& folder, int64_t first_step);
  Status add(const StepRecord& record);

 private:
  explicit EventFile(AppendFile file) : file_(std::move(file)) {}
  AppendFile file_;
};

}  // namespace kinglet::train
