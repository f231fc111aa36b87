#include "train/log.h"

#include <cerrno>
#include <cmath>
#include <system_error>

#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::train {

Result<AppendFile> AppendFile::open(const std::string& path, Mode mode) {
  std::FILE* file = std::fopen(path.c_str(), mode == Mode::begin ? "wb" : "ab");
  if (file == nullptr) return error(Code::io, "cannot write {}: {}", path, std::generic_category().message(errno));
  return AppendFile(path, file);
}

Status AppendFile::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size() && std::fflush(file_.get()) == 0)
    return ok_status();
  std::clearerr(file_.get());
  return error(Code::io, "cannot write {}: {}", path_, std::generic_category().message(errno));
}

Json to_json(const StepRecord& r) {
  Json line{
      {"step", r.step},
      {"loss", r.loss.loss},
      {"lr", r.learning_rate},
      {"grad_norm", r.gradient_norm},
      {"tokens", r.tokens_so_far},
      {"targets", r.loss.targets},
      {"seconds", r.seconds},
      {"tokens_per_second", r.seconds > 0 ? std::round(10 * static_cast<double>(r.loss.tokens) / r.seconds) / 10 : 0}};
  if (r.held_out) line["held_out_loss"] = *r.held_out;
  return line;
}

Result<std::vector<Json>> read_log(const std::string& path, int64_t before) {
  std::vector<Json> lines;
  if (!is_file(path)) return lines;
  KL_ASSIGN(const std::string text, read_file(path));
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    auto line = parse_json(std::string_view(text).substr(begin, end - begin));
    if (!line.ok() || !line->is_object()) continue;  // a line that a killed run did not finish, and what followed it
    const auto step = line->find("step");
    if (step != line->end() && step->is_number_integer() && step->get<int64_t>() < before)
      lines.push_back(*std::move(line));
  }
  return lines;
}

Result<JsonLog> JsonLog::open(const std::string& path, int64_t first_step) {
  if (first_step > 0) {
    KL_ASSIGN(const std::vector<Json> kept, read_log(path, first_step));
    std::string text;
    for (const Json& line : kept) text += to_text(line) + "\n";
    KL_TRY(write_file(path, text));
  }
  KL_ASSIGN(AppendFile file,
            AppendFile::open(path, first_step > 0 ? AppendFile::Mode::go_on : AppendFile::Mode::begin));
  return JsonLog(std::move(file));
}

Status JsonLog::add(const StepRecord& record) { return file_.write(to_text(to_json(record)) + "\n"); }

}  // namespace kinglet::train
