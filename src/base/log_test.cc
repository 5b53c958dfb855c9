#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <regex>
#include <string>

namespace shoal {
namespace {

TEST(Printable, KeepsTextInAnyScript) {
  EXPECT_EQ(log::Printable("数据/ü"), "数据/ü");
}

TEST(Printable, EscapesWhatCouldForgeALineOrMoveACursor) {
  EXPECT_EQ(log::Printable("a\nb\x1b[2J\x7f"), "a\\x0Ab\\x1B[2J\\x7F");
  EXPECT_EQ(log::Printable("\xc2\x9b"), "\\xC2\\x9B");
}

TEST(Printable, EscapesInvalidUtf8) {
  EXPECT_EQ(log::Printable("\xff\xc3"), "\\xFF\\xC3");
}

TEST(Printable, EscapesOverlongFormsSurrogatesAndWhatIsBeyondUnicode) {
  EXPECT_EQ(log::Printable("\xc0\xaf"), "\\xC0\\xAF");
  EXPECT_EQ(log::Printable("\xe0\x9f\xbf"), "\\xE0\\x9F\\xBF");
  EXPECT_EQ(log::Printable("\xf0\x8f\xbf\xbf"), "\\xF0\\x8F\\xBF\\xBF");
  EXPECT_EQ(log::Printable("\xed\xa0\x80"), "\\xED\\xA0\\x80");
  EXPECT_EQ(log::Printable("\xf4\x90\x80\x80"), "\\xF4\\x90\\x80\\x80");
  EXPECT_EQ(log::Printable("\xf5\x80\x80\x80"), "\\xF5\\x80\\x80\\x80");
}

TEST(Printable, KeepsTheFirstAndLastOfEachLength) {
  for (const std::string_view text : {"\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                      "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_EQ(log::Printable(text), text);
}

TEST(LogStart, NamesTheLevelsItKnows) {
  const Result<> started = log::Start(log::Target::kStderr, "loud");
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().detail.find("trace, debug, info, warning, error"), std::string::npos);
}

TEST(LogToStandardError, WhereNobodyReadsNobodyWaitsAndWhatIsLostIsSaid) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_GT(fcntl(ends[1], F_SETPIPE_SZ, 16384), 0);
  const pid_t writer = fork();
  if (writer == 0) {
    alarm(30);
    dup2(ends[1], STDERR_FILENO);
    bool done = log::Start(log::Target::kStderr, "info").has_value();
    const std::string line(100, 'x');
    for (int i = 0; i < 1000; ++i) log::Info("{} {}", i, line);
    char bytes[16384];
    done = done && read(ends[0], bytes, sizeof(bytes)) > 0;
    log::Info("{}", "the last");
    _exit(done ? 0 : 1);
  }
  close(ends[1]);
  int status = 1;
  waitpid(writer, &status, 0);
  EXPECT_EQ(status, 0);
  std::string said(4096, '\0');
  said.resize(static_cast<size_t>(read(ends[0], said.data(), said.size())));
  close(ends[0]);
  EXPECT_NE(said.find("lines of the log are missing here"), std::string::npos) << said;
  EXPECT_TRUE(said.ends_with("the last\n")) << said;
}

// Of a terminal that says that it has room a byte may be all.
TEST(LogToStandardError, NobodyWaitsForATerminalThatNobodyReadsEither) {
  const int ours = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(ours, 0);
  ASSERT_EQ(grantpt(ours) | unlockpt(ours), 0);
  const int theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
  ASSERT_GE(theirs, 0);
  const pid_t writer = fork();
  if (writer == 0) {
    alarm(30);
    dup2(theirs, STDERR_FILENO);
    if (!log::Start(log::Target::kStderr, "info")) _exit(1);
    const std::string line(100, 'x');
    for (int i = 0; i < 1000; ++i) log::Info("{} {}", i, line);
    _exit(0);
  }
  int status = 1;
  waitpid(writer, &status, 0);
  EXPECT_EQ(status, 0);
  close(theirs);
  close(ours);
}

// A receiver of this process alone, at /dev/log.
int ReceiverOfSyslog() {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("none", "/dev", "tmpfs", 0, nullptr) != 0)
    return -1;
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  const sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "/dev/log"};
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? fd : -1;
}

TEST(LogToSyslog, LinesAreThoseOfSyslogAndWhereNobodyTakesThemNobodyWaits) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can have a /dev/log of its own";
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t writer = fork();
  if (writer == 0) {
    alarm(30);
    const int receiver = ReceiverOfSyslog();
    if (receiver < 0 || !log::Start(log::Target::kSyslog, "info")) _exit(1);
    for (int i = 0; i < 2000; ++i) log::Warn("line {}", i);
    char line[256];
    while (true) {
      const ssize_t length = recv(receiver, line, sizeof(line), MSG_DONTWAIT);
      if (length <= 0) break;
      line[length] = '\n';
      if (write(ends[1], line, static_cast<size_t>(length) + 1) < 0) _exit(1);
    }
    log::Error("the last");
    for (int i = 0; i < 2; ++i) {
      const ssize_t length = recv(receiver, line, sizeof(line), 0);
      line[length] = '\n';
      if (write(ends[1], line, static_cast<size_t>(length) + 1) < 0) _exit(1);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char bytes[4096];
  for (ssize_t length; (length = read(ends[0], bytes, sizeof(bytes))) > 0;)
    said.append(bytes, static_cast<size_t>(length));
  close(ends[0]);
  int status = 1;
  waitpid(writer, &status, 0);
  EXPECT_EQ(status, 0);
  const std::string time = "[A-Z][a-z][a-z] [ 1-3][0-9] [0-9:]{8}";
  const std::string name = " shoal\\[" + std::to_string(writer) + "\\]: ";
  EXPECT_TRUE(std::regex_search(said, std::regex("^<28>" + time + name + "line 0\n"))) << said;
  EXPECT_TRUE(std::regex_search(said, std::regex("<28>" + time + name +
                                                 "[0-9]+ lines of the log"
                                                 "[^\n]*\n<27>" +
                                                 time + name + "the last\n$")))
      << said;
}

TEST(RecentTrouble, KeepsWarningsAndErrorsWhateverTheLevel) {
  ASSERT_TRUE(log::Start(log::Target::kStderr, "error"));
  log::Info("all is well");
  log::Warn("the store is slow: {} s", 3);
  log::Error("it is gone");
  const std::vector<log::Event> events = log::RecentTrouble();
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events.end()[-2].text, "the store is slow: 3 s");
  EXPECT_EQ(events.end()[-2].level, log::Level::kWarning);
  EXPECT_EQ(events.end()[-1].text, "it is gone");
  EXPECT_EQ(events.end()[-1].level, log::Level::kError);
}

TEST(RecentTrouble, AlikeOnesAreOneAndDisplaceNoOther) {
  log::Error("it is gone");
  for (int i = 0; i < 1000; ++i)
    log::Warn(
        "GetObject 'd/{}': HTTP 500, InternalError, request 5C{}: x; gave up after {} attempts", i,
        i * 7, i % 20);
  log::Warn("GetObject 'd/it's 1': HTTP 503, SlowDown: the bucket's busy");
  const std::vector<log::Event> events = log::RecentTrouble();
  ASSERT_GE(events.size(), 3U);
  EXPECT_EQ(events.end()[-3].text, "it is gone");
  EXPECT_EQ(events.end()[-2].text,
            "GetObject 'd/999': HTTP 500, InternalError, request 5C6993: x; gave up after 19 "
            "attempts");
  EXPECT_EQ(events.end()[-2].count, 1000U);
  EXPECT_EQ(events.end()[-1].count, 1U);
}

TEST(RecentTrouble, WhatDiffersInMoreThanNumbersIsNotAlike) {
  const size_t before = log::RecentTrouble().size();
  log::Warn("the cache at /disk1: it failed");
  log::Warn("the cache at /disk2: it failed");
  log::Warn("List '': HTTP 502");
  log::Warn("List '': HTTP 504");
  log::Warn("the store's own word");
  log::Warn("the stores' own word");
  EXPECT_EQ(log::RecentTrouble().size(), before + 6);
}

TEST(RecentTrouble, KeepsTheLastHundredKinds) {
  std::string text = "kind ";
  for (int i = 0; i < 200; ++i) log::Warn("{}", text += 'x');
  EXPECT_EQ(log::RecentTrouble().size(), 100U);
  EXPECT_EQ(log::RecentTrouble().back().text, text);
}

}  // namespace
}  // namespace shoal
