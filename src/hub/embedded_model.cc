#include "hub/embedded_model.h"

#include "host/error.h"
#include "host/file.h"
#include "hub/embedded_files.h"

namespace kinglet::hub {

Result<std::string_view> embedded_model(std::string_view name) {
  if (name == "books-7m") return kBooks7m;
  return error(Code::not_found, "no model called {} is built into this program", name);
}

Status write_embedded_model(std::string_view name, const std::string& path) {
  KL_ASSIGN(const std::string_view bytes, embedded_model(name));
  return write_file(path, bytes);
}

}  // namespace kinglet::hub
