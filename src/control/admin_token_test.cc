#include "control/admin_token.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "base/log.h"
#include "testing/fake_clock.h"
#include "testing/no_descriptors.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

class AdminTokenTest : public testing::Test {
 protected:
  void Write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_ + ".new") << text;
    chmod((path_ + ".new").c_str(), mode);
    rename((path_ + ".new").c_str(), path_.c_str());
  }
  std::string Refusal() {
    const auto token = AdminToken::Open(path_, clock_);
    return token ? "none" : token.error().detail;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.path() / "token";
  FakeClock clock_;
};

TEST_F(AdminTokenTest, IsReadAgainWhenTheFileChanges) {
  Write("0123456789abcdef\n");
  const auto token = *AdminToken::Open(path_, clock_);
  EXPECT_EQ(token->Current(), "0123456789abcdef");
  Write("a-new-token-of-some-length\r\n");
  EXPECT_EQ(token->Current(), "0123456789abcdef") << "it looks once a second at most";
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(token->Current(), "a-new-token-of-some-length");
}

TEST_F(AdminTokenTest, AFileOfNoUseLeavesTheTokenThatWasInForce) {
  Write("0123456789abcdef");
  const auto token = *AdminToken::Open(path_, clock_);
  Write("short");
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(token->Current(), "0123456789abcdef");
  unlink(path_.c_str());
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(token->Current(), "0123456789abcdef");
}

TEST_F(AdminTokenTest, AFileThatCouldNotBeReadIsLookedAtAgainAndWarnedOfOnce) {
  Write("0123456789abcdef");
  const auto token = *AdminToken::Open(path_, clock_);
  Write("a-new-token-of-some-length");
  {
    const NoDescriptors none;
    for (int i = 0; i < 3; ++i) {
      clock_.Advance(std::chrono::seconds(1));
      EXPECT_EQ(token->Current(), "0123456789abcdef");
    }
  }
  const std::string warning =
      "admin_token_file: " + path_ + ": Too many open files; the token before stays in force";
  EXPECT_EQ(std::ranges::count(log::RecentTrouble(), warning, &log::Event::text), 1);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(token->Current(), "a-new-token-of-some-length");
}

TEST_F(AdminTokenTest, WithoutAFileThereIsNone) {
  EXPECT_EQ((*AdminToken::Open("", clock_))->Current(), "");
}

TEST_F(AdminTokenTest, AFileOfNoUseIsRefusedAtStart) {
  const std::string start = "admin_token_file: " + path_ + ": ";
  EXPECT_EQ(Refusal(), start + "No such file or directory");
  Write("0123456789abcdef", 0644);
  EXPECT_EQ(Refusal(), start + "open to others than its owner; run: chmod 600 " + path_);
  for (const char* text : {"", "\n", "too-short", "two words of a sufficient length",
                           "0123456789abcdef\n0123456789abcdef", "0123456789abcd\xc3\xa4"}) {
    Write(text);
    EXPECT_EQ(Refusal(), start +
                             "not one word of 16 to 4096 printable characters; openssl rand "
                             "-hex 32 makes one")
        << text;
  }
}

}  // namespace
}  // namespace shoal
