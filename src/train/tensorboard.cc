#include "train/tensorboard.h"

#include <array>
#include <bit>
#include <chrono>

#include "host/error.h"
#include "host/file.h"

namespace kinglet::train {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

/// TFRecord stores a CRC turned and shifted, so that a CRC of bytes that hold CRCs is no weaker.
uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

template <typename T>
void put_little_endian(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

// -- protocol buffers: a field is a key (number and wire type) and a value --

enum Wire : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}
void put_key(std::string& out, uint64_t field, Wire wire) { put_varint(out, field << 3 | wire); }
void put_integer(std::string& out, uint64_t field, int64_t value) {
  put_key(out, field, kVarint);
  put_varint(out, static_cast<uint64_t>(value));
}
void put_double(std::string& out, uint64_t field, double value) {
  put_key(out, field, kFixed64);
  put_little_endian(out, std::bit_cast<uint64_t>(value));
}
void put_float(std::string& out, uint64_t field, float value) {
  put_key(out, field, kFixed32);
  put_little_endian(out, std::bit_cast<uint32_t>(value));
}
void put_bytes(std::string& out, uint64_t field, std::string_view value) {
  put_key(out, field, kBytes);
  put_varint(out, value.size());
  out.append(value);
}

// Field numbers of Event, SessionLog, Summary and Summary.Value.
constexpr uint64_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr uint64_t kSessionStatus = 1, kSummaryValue = 1, kTag = 1, kSimpleValue = 2;
constexpr int64_t kSessionStart = 1;

std::string event(double wall_time, int64_t step) {
  std::string out;
  put_double(out, kWallTime, wall_time);
  put_integer(out, kStep, step);
  return out;
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

std::string tfrecord(std::string_view bytes) {
  std::string out;
  put_little_endian(out, uint64_t{bytes.size()});
  put_little_endian(out, masked_crc(out));
  out.append(bytes);
  put_little_endian(out, masked_crc(bytes));
  return out;
}

std::string version_event(double wall_time) {
  std::string out;
  put_double(out, kWallTime, wall_time);
  put_bytes(out, kFileVersion, "brain.Event:2");
  return out;
}

std::string restart_event(double wall_time, int64_t step) {
  std::string out = event(wall_time, step), log;
  put_integer(log, kSessionStatus, kSessionStart);
  put_bytes(out, kSessionLog, log);
  return out;
}

std::string scalars_event(double wall_time, int64_t step, const std::vector<Scalar>& scalars) {
  std::string out = event(wall_time, step), summary;
  for (const auto& [tag, number] : scalars) {
    std::string value;
    put_bytes(value, kTag, tag);
    put_float(value, kSimpleValue, static_cast<float>(number));
    put_bytes(summary, kSummaryValue, value);
  }
  put_bytes(out, kSummary, summary);
  return out;
}

Result<EventFile> EventFile::create(const std::string& folder, int64_t first_step) {
  KL_TRY(make_directories(folder));
  const double time = now();
  const std::string name =
      fmt::format("events.out.tfevents.{:010}.kinglet.{}", static_cast<int64_t>(time), file_detail::process_id());
  KL_ASSIGN(AppendFile file, AppendFile::open(join_path(folder, name), AppendFile::Mode::begin));
  EventFile out(std::move(file));
  KL_TRY(out.file_.write(tfrecord(version_event(time))));
  if (first_step > 0) KL_TRY(out.file_.write(tfrecord(restart_event(time, first_step))));
  return out;
}

Status EventFile::add(const StepRecord& r) {
  std::vector<Scalar> scalars{
      {"loss/train", r.loss.loss}, {"learning_rate", r.learning_rate}, {"gradient_norm", r.gradient_norm}};
  if (r.seconds > 0) scalars.emplace_back("tokens_per_second", static_cast<double>(r.loss.tokens) / r.seconds);
  if (r.held_out) scalars.emplace_back("loss/held_out", *r.held_out);
  return file_.write(tfrecord(scalars_event(now(), r.step, scalars)));
}

}  // namespace kinglet::train
