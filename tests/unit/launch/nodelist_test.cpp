#include "runtime/launch/nodelist.h"

#include <gtest/gtest.h>

namespace dcc::launch {
namespace {

TEST(Nodelist, FirstHost) {
  const std::pair<const char*, const char*> lists[] = {
      {"a", "a"},
      {"a,b", "a"},
      {"node[01-03,7],other", "node01"},
      {"a[7]", "a7"},
      {"a[7,01-03]", "a7"},
      {"rack[0-3]-node[10-19].cluster.org,x", "rack0-node10.cluster.org"},
      {"[1-2]", "1"},
      {"a[18446744073709551616-18446744073709551617]", "a18446744073709551616"},
      {"login_1.x-y", "login_1.x-y"}};
  for (const auto& [list, host] : lists) {
    const Result<std::string> first = firstHost(list);
    ASSERT_TRUE(first.ok()) << first.error().message;
    EXPECT_EQ(*first, host);
  }
}

TEST(Nodelist, NoList) {
  const std::string lists[] = {"",
                               ",a",
                               "a[",
                               "a[1",
                               "a[]",
                               "a[-3]",
                               "a[,1]",
                               "a[x]",
                               "a[1x]",
                               "a]",
                               "a b",
                               "a\nb",
                               "(null)",
                               "a[[1]]",
                               "a/b",
                               std::string(254, 'a'),
                               "a[" + std::string(300, '1') + "]"};
  for (const std::string& list : lists) {
    const Result<std::string> first = firstHost(list);
    ASSERT_FALSE(first.ok()) << list << " -> " << *first;
    EXPECT_EQ(first.error().message.find('\n'), std::string::npos);
    EXPECT_LT(first.error().message.size(), 400u);
  }
}

}  // namespace
}  // namespace dcc::launch
