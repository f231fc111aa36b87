#include "host/file.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "host/memory.h"
#include "host/testing.h"

#ifndef _WIN32
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#endif

namespace kinglet {
namespace {

TEST(MappedFile, ReadsWhatWasWritten) {
  TempFolder folder;
  ASSERT_TRUE(write_file(folder.file("a"), "hello").ok());
  auto map = MappedFile::open(folder.file("a"));
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>(map->bytes()[1]), 'e');
  for (const Access a :
       {Access::normal, Access::sequential, Access::random, Access::will_need, Access::dont_need, Access::huge_pages}) {
    map->advise(a);
    map->advise(a, 3, 1);
    map->advise(a, 100, 1);
  }
  MappedFile other = std::move(map).value();
  EXPECT_EQ(other.bytes().size(), 5u);
  EXPECT_EQ(other.path(), folder.file("a"));
}

// How many there are is the system's choice: never more than the map, none where nothing is mapped.
TEST(MappedFile, TellsWhatLiesInHugePages) {
  TempFolder folder;
  const std::string text(size_t{8} << 20, 'x');
  ASSERT_TRUE(write_file(folder.file("a"), text).ok());
  auto map = MappedFile::open(folder.file("a"));
  ASSERT_TRUE(map.ok());
  map->advise(Access::huge_pages);
  EXPECT_EQ(map->bytes()[text.size() - 1], std::byte{'x'});
  EXPECT_LE(huge_mapped_bytes(map->bytes().data()), text.size());
  EXPECT_EQ(huge_mapped_bytes(nullptr), 0u);
}

TEST(MappedFile, NamesWhatCannotBeOpened) {
  TempFolder folder;
  EXPECT_EQ(MappedFile::open(folder.file("absent")).status().code(), Code::not_found);
  EXPECT_EQ(MappedFile::open(folder.path()).status().code(), Code::io);
  ASSERT_TRUE(write_file(folder.file("empty"), "").ok());
  EXPECT_TRUE(MappedFile::open(folder.file("empty")).value().bytes().empty());
#ifndef _WIN32
  ASSERT_EQ(::mkfifo(folder.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(folder.file("pipe")).status().code(), Code::io);
#endif
}

TEST(AtomicFile, AppearsOnlyWhenWhole) {
  TempFolder folder;
  const std::string path = folder.file("a");
  ASSERT_TRUE(write_file(path, "old").ok());
  {
    auto file = AtomicFile::create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write("half").ok());
    EXPECT_EQ(read_file(path).value(), "old");
  }
  EXPECT_EQ(read_file(path).value(), "old");
  EXPECT_EQ(folder.entries(), 1);

  auto file = AtomicFile::create(path);
  ASSERT_TRUE(file.ok());
  const std::string large(3'000'000, 'x');
  ASSERT_TRUE(file->write("new").ok());
  ASSERT_TRUE(file->write(large).ok());
  ASSERT_TRUE(file->write_zeros(5000).ok());
  EXPECT_EQ(file->written(), 3'005'003u);
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(read_file(path).value(), "new" + large + std::string(5000, '\0'));
  EXPECT_EQ(folder.entries(), 1);
  EXPECT_FALSE(file->write("more").ok());
  EXPECT_FALSE(file->commit().ok());
}

// The buffer's border falls inside pieces, between them, and in one that holds it several times.
TEST(AtomicFile, PiecesOfAnySizeFollowEachOther) {
  TempFolder folder;
  std::string all;
  auto file = AtomicFile::create(folder.file("a"));
  ASSERT_TRUE(file.ok());
  for (const size_t size : {3u, 4'194'301u, 1u, 4'194'304u, 0u, 9'000'001u, 3'582'915u, 17u}) {
    std::string piece(size, '\0');
    for (size_t i = 0; i < size; ++i) piece[i] = static_cast<char>((all.size() + i) * 2654435761u >> 24);
    ASSERT_TRUE(file->write(piece).ok());
    all += piece;
  }
  EXPECT_EQ(file->written(), all.size());
  ASSERT_TRUE(file->commit().ok());
  EXPECT_TRUE(read_file(folder.file("a")).value() == all);
}

TEST(AtomicFile, RefusesFoldersThatAreNotThere) {
  TempFolder folder;
  EXPECT_EQ(AtomicFile::create(folder.file("no/such/file")).status().code(), Code::io);
  EXPECT_EQ(AtomicFile::create(folder.path()).status().code(), Code::io);
  EXPECT_EQ(AtomicFile::create("").status().code(), Code::invalid_argument);
  const auto file = AtomicFile::create(folder.file("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->expect(uint64_t{1} << 62).code(), Code::io);
  EXPECT_TRUE(file->expect(1).ok());
}

#ifndef _WIN32
TEST(AtomicFile, RefusesAnUnwritableFolder) {
  if (::geteuid() == 0) GTEST_SKIP() << "the superuser writes everywhere";
  TempFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0500), 0);
  EXPECT_EQ(AtomicFile::create(folder.file("a")).status().code(), Code::io);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0700), 0);
}

// A limit on the size of files fails writes half way, as a full disk does.
TEST(AtomicFile, LeavesNothingWhenAWriteFails) {
  TempFolder folder;
  const std::string path = folder.file("a");
  ASSERT_TRUE(write_file(path, "old").ok());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 100'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status large = write_file(path, std::string(5'000'000, 'x'));
  const Status buffered = write_file(path, std::string(200'000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(large.code(), Code::io);
  EXPECT_EQ(buffered.code(), Code::io);
  EXPECT_NE(large.text().find(path), std::string_view::npos);
  EXPECT_EQ(read_file(path).value(), "old");
  EXPECT_EQ(folder.entries(), 1);
}
#endif

TEST(File, Helpers) {
  TempFolder folder;
  EXPECT_TRUE(make_directories(folder.file("a/b/c")).ok());
  EXPECT_TRUE(make_directories(folder.file("a/b/c")).ok());
  EXPECT_TRUE(is_directory(folder.file("a/b")));
  ASSERT_TRUE(write_file(folder.file("a/f"), "x").ok());
  EXPECT_TRUE(is_file(folder.file("a/f")));
  EXPECT_FALSE(is_file(folder.file("a")));
  EXPECT_FALSE(make_directories(folder.file("a/f")).ok());
  EXPECT_FALSE(make_directories(folder.file("a/f/g")).ok());
  EXPECT_EQ(read_file(folder.file("a/f"), 0).status().code(), Code::out_of_range);
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(join_path("", "b"), "b");
}

}  // namespace
}  // namespace kinglet
