#include "fs/name_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace shoal {
namespace {

using ::testing::IsSupersetOf;
using ::testing::SizeIs;

NameAlphabet AlphabetOf(const std::vector<std::string>& names) {
  NameAlphabet alphabet;
  for (const std::string& name : names) alphabet.Add(name);
  return alphabet;
}

TEST(NameSplitter, AnAlphabetIsWhatComesAfterWhatAllNamesHaveInCommon) {
  EXPECT_EQ(AlphabetOf({"img-0042", "img-0007"}).common(), "img-00");
  EXPECT_EQ(AlphabetOf({"img-0042", "img-0007"}).Bytes(), "0247");
  EXPECT_EQ(AlphabetOf({"img-0042", "img-0007", "ink"}).common(), "i");
  EXPECT_EQ(AlphabetOf({"img-0042", "img-0007", "ink"}).Bytes(), "-0247gkmn");
}

TEST(NameSplitter, WithoutAnEndTheBeginningsAreGuessedToo) {
  EXPECT_THAT(
      SplitNames(AlphabetOf({"img-0042", "img-0043"}), "img-0042", "img-0043", std::nullopt, 32),
      IsSupersetOf({"j", "in", "imh", "img.", "img-1", "img-01", "img-005"}));
}

TEST(NameSplitter, BetweenTwoNamesTheCutsAreSpreadEvenlyOverTheAlphabet) {
  const NameAlphabet digits = AlphabetOf({"0123456789", "1"});
  EXPECT_EQ(SplitNames(digits, "f2", "f2", "f8", 5),
            (std::vector<std::string>{"f300000", "f400000", "f500000", "f600000", "f700000"}));
  EXPECT_EQ(SplitNames(digits, "", "", "2", 1), std::vector<std::string>{"100000"});
}

TEST(NameSplitter, WhereNothingFitsThereAreNoCuts) {
  EXPECT_THAT(SplitNames(AlphabetOf({"a", "b"}), "a", "a", "a ", 16), SizeIs(0));
  EXPECT_THAT(SplitNames(AlphabetOf({"a", "b"}), "a", "a", std::nullopt, 0), SizeIs(0));
  EXPECT_THAT(SplitNames({}, "", "", std::nullopt, 16), SizeIs(0));
}

TEST(NameSplitter, CutsLieStrictlyBetweenInOrderWithoutASlashWhateverTheNames) {
  std::mt19937 chance(1);
  const auto random_name = [&] {
    std::string name;
    for (size_t size = chance() % 12; name.size() < size;)
      name.push_back(chance() % 4 == 0 ? "/a0~\x7f\xf4\xff "[chance() % 8] : "abc"[chance() % 3]);
    return name;
  };
  for (int round = 0; round < 20'000; ++round) {
    std::string last_seen = random_name();
    std::optional<std::string> end =
        chance() % 3 == 0 ? std::nullopt : std::optional(random_name());
    if (end && *end < last_seen) std::swap(*end, last_seen);
    const size_t count_max = chance() % 20;
    const std::vector<std::string> cuts = SplitNames(
        AlphabetOf({random_name(), last_seen, random_name()}), "", last_seen, end, count_max);
    ASSERT_LE(cuts.size(), count_max);
    for (size_t i = 0; i < cuts.size(); ++i) {
      ASSERT_GT(cuts[i], i == 0 ? last_seen : cuts[i - 1]);
      ASSERT_TRUE(!end || cuts[i] < *end);
      ASSERT_EQ(cuts[i].find('/'), std::string::npos);
    }
  }
}

TEST(NameSplitter, CutsInNamesOfOtherScriptsAreWholeCharacters) {
  const NameAlphabet alphabet = AlphabetOf({"a数据", "a数字", "aüb"});
  for (const std::string& cut : SplitNames(alphabet, "a数字", "a数据", std::nullopt, 30))
    for (size_t i = 0; i < cut.size();) {
      const auto lead = static_cast<unsigned char>(cut[i]);
      const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
      ASSERT_TRUE(lead < 0x80 || (lead >= 0xc2 && lead <= 0xf4)) << cut;
      ASSERT_LE(i + size, cut.size()) << cut;
      for (size_t k = 1; k < size; ++k)
        ASSERT_EQ(static_cast<unsigned char>(cut[i + k]) & 0xc0, 0x80) << cut;
      i += size;
    }
}

TEST(NameSplitter, ANamesPositionGrowsFromItsBeginToItsEnd) {
  const NameScale scale(AlphabetOf({"0123456789", "1"}), "a2", "a8");
  EXPECT_EQ(scale.PositionOf("a2"), 0.0);
  EXPECT_DOUBLE_EQ(scale.PositionOf("a5"), 0.5);
  EXPECT_EQ(scale.PositionOf("a8"), 1.0);
}

}  // namespace
}  // namespace shoal
