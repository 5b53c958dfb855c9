#include "base/read_text.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "testing/temporary_directory.h"

namespace shoal {
namespace {

TEST(ReadText, ReadsAFileWhole) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "file") << std::string("a\nb\0c\n", 6);
  EXPECT_EQ(ReadText(directory.path() / "file"), std::string("a\nb\0c\n", 6));
}

TEST(ReadText, WhatCannotBeReadIsEmptyAndThrowsNothing) {
  const TemporaryDirectory directory;
  EXPECT_EQ(ReadText(directory.path()), "") << "it can be opened, and not read";
  EXPECT_EQ(ReadText(directory.path() / "nothing"), "");
}

}  // namespace
}  // namespace shoal
