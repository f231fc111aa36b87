#include "train/log.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <filesystem>

#include "host/testing.h"
#include "train/tensorboard.h"

namespace kinglet::train {
namespace {

StepRecord record(int64_t step, double loss) {
  return {.step = step, .loss = {.loss = loss, .tokens = 30, .targets = 20}, .learning_rate = 0.5, .seconds = 2};
}

TEST(JsonLog, GoesOnWhereACheckpointStopped) {
  const TempFolder folder;
  const std::string path = folder.file("log.jsonl");
  {
    auto log = JsonLog::open(path, 0);
    ASSERT_TRUE(log.ok());
    for (int64_t step = 0; step < 5; ++step) ASSERT_TRUE(log->add(record(step, 0.1 + static_cast<double>(step))).ok());
  }
  auto torn = AppendFile::open(path, AppendFile::Mode::go_on);
  ASSERT_TRUE(torn->write("{\"step\": 5, \"lo").ok());  // as a killed run leaves it
  {
    auto log = JsonLog::open(path, 3);
    ASSERT_TRUE(log.ok());
    StepRecord r = record(3, 7);
    r.held_out = 6.5;
    ASSERT_TRUE(log->add(r).ok());
  }
  const auto lines = read_log(path);
  ASSERT_TRUE(lines.ok());
  ASSERT_EQ(lines->size(), 4u);
  for (int64_t step = 0; step < 4; ++step) EXPECT_EQ((*lines)[static_cast<size_t>(step)]["step"], step);
  EXPECT_EQ((*lines)[0]["loss"].get<double>(), 0.1);  // the very double
  EXPECT_EQ((*lines)[3]["held_out_loss"], 6.5);
  EXPECT_EQ((*lines)[3]["tokens_per_second"], 15);
  ASSERT_TRUE(JsonLog::open(path, 0).ok());
  EXPECT_EQ(read_log(path)->size(), 0u);
  EXPECT_FALSE(JsonLog::open(folder.file("no/such/log.jsonl"), 0).ok());
}

TEST(Tensorboard, ChecksumsAreCastagnolis) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

/// The messages of TFRecord frames, their checksums checked by the inverse of the mask.
std::vector<std::string> frames(const std::string& bytes) {
  std::vector<std::string> out;
  const auto checked = [&](size_t at, size_t count) {
    uint32_t masked = 0;
    std::memcpy(&masked, bytes.data() + at + count, 4);
    EXPECT_EQ(std::rotl(masked - 0xa282ead8u, 15), crc32c(std::string_view(bytes).substr(at, count)));
    return bytes.substr(at, count);
  };
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    std::memcpy(&length, checked(at, 8).data(), 8);
    out.push_back(checked(at + 12, length));
    at += 16 + length;
  }
  return out;
}

TEST(Tensorboard, WritesEventsByTheProtocolsBytes) {
  const TempFolder folder;
  {
    auto events = EventFile::create(folder.path(), 3);
    ASSERT_TRUE(events.ok());
    ASSERT_TRUE(events->add(record(300, 1.5)).ok());
  }
  const auto entry = *std::filesystem::directory_iterator(folder.path());
  EXPECT_TRUE(entry.path().filename().string().starts_with("events.out.tfevents."));
  const auto messages = frames(*read_file(entry.path().string()));
  ASSERT_EQ(messages.size(), 3u);
  // wall_time (field 1, 64 bits), then file_version (3, a string).
  EXPECT_EQ(messages[0][0], '\x09');
  EXPECT_EQ(messages[0].substr(9),
            "\x1a\x0d"
            "brain.Event:2");
  // step (2, a varint), then session_log (7) {status (1) = START (1)}.
  EXPECT_EQ(messages[1].substr(9), "\x10\x03\x3a\x02\x08\x01");
  const std::string loss("\x0a\x11\x0a\x0aloss/train\x15\x00\x00\xc0\x3f", 19);  // {tag (1), simple_value (2) 1.5f}
  EXPECT_EQ(messages[2].substr(9, 3), "\x10\xac\x02");
  EXPECT_EQ(messages[2][12], '\x2a');  // summary (5)
  EXPECT_EQ(messages[2].substr(14, loss.size()), loss);
}

}  // namespace
}  // namespace kinglet::train
