#include "base/replace_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/read_text.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777;
}

class ReplaceFileTest : public testing::Test {
 protected:
  const TemporaryDirectory directory_;
  const std::string path_ = directory_.path() / "state";
};

TEST_F(ReplaceFileTest, ReplacesTheWholeAndLeavesNothingBeside) {
  ASSERT_TRUE(ReplaceFile(path_, "a longer text"));
  ASSERT_TRUE(ReplaceFile(path_, "short"));
  EXPECT_EQ(ReadText(path_), "short");
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_F(ReplaceFileTest, TheFileIsTheOwnersAloneWhateverWasThere) {
  const mode_t mask_before = umask(0);
  std::ofstream(path_) << "for everybody";
  std::ofstream(path_ + ".new") << "of one that was killed when it wrote it";
  const Result<> replaced = ReplaceFile(path_, "secret");
  umask(mask_before);
  ASSERT_TRUE(replaced) << replaced.error().detail;
  EXPECT_EQ(ModeOf(path_), 0600u);
  EXPECT_EQ(ReadText(path_), "secret");
}

TEST_F(ReplaceFileTest, AfterAnErrorWhatWasThereIsThereStill) {
  std::filesystem::create_directories(path_ + "/in the way");
  EXPECT_EQ(ReplaceFile(path_, "text").error().code, Errc::kInvalid);
  EXPECT_TRUE(std::filesystem::is_directory(path_ + "/in the way"));
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
  EXPECT_EQ(ReplaceFile(directory_.path() / "no/such/file", "text").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace shoal
