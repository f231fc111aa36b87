// Reads entries of a ZIP archive (a Python wheel): stored and deflated, up to 4 GiB.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace kinglet::hub {

struct ZipEntry {
  std::string name;
  uint16_t method = 0;  ///< 0 stored, 8 deflated
  uint32_t crc = 0;
  uint64_t packed = 0;
  uint64_t size = 0;    ///< unpacked
  uint64_t header = 0;  ///< where its local header starts
};

/// The archive's directory, checked against its size. Errors: corrupt, unsupported (ZIP64, encryption).
Result<std::vector<ZipEntry>> zip_entries(std::span<const std::byte> archive);

/// Unpacks one entry piece by piece and checks its length and CRC. Errors: corrupt, unsupported, and those of `sink`.
Status zip_extract(std::span<const std::byte> archive, const ZipEntry& entry,
                   const std::function<Status(std::span<const std::byte>)>& sink);

/// Whether `name` matches `pattern`, where * stands for any characters but '/'.
bool matches_pattern(std::string_view pattern, std::string_view name);

}  // namespace kinglet::hub
