// Cores and quotas, from a file tree as the kernel shows it.
#include "runtime/launch/cores.h"

#include <gtest/gtest.h>

#include "tests/unit/file_tree.h"

namespace dcc::launch {
namespace {

using Cores = dcc::testing::FileTree;

TEST_F(Cores, WithoutQuotasTheAffinityDecides) {
  EXPECT_GE(usableCores(), 1u);
  const uint32_t all = usableCores(root_);
  EXPECT_GE(all, 1u);
  write("/proc/self/cgroup", "0::/user.slice/a\n");
  write("/sys/fs/cgroup/user.slice/a/cpu.max", "max 100000\n");
  EXPECT_EQ(usableCores(root_), all);
}

TEST_F(Cores, TheTightestQuotaAboveUsCounts) {
  write("/proc/self/cgroup", "0::/user.slice/a\n");
  write("/sys/fs/cgroup/user.slice/a/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n");
  EXPECT_EQ(usableCores(root_), 1u);
  write("/sys/fs/cgroup/user.slice/cpu.max", "100000000 100000\n");
  EXPECT_EQ(usableCores(root_), usableCores(root_ + "/none"));
}

TEST_F(Cores, VersionOne) {
  write("/proc/self/cgroup", "5:memory:/x\n3:cpu,cpuacct:/job\n");
  write("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "100000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(usableCores(root_), 1u);
  write("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(usableCores(root_), usableCores(root_ + "/none"));
}

TEST_F(Cores, RanksShareThem) {
  EXPECT_EQ(threadsPerRank(16, 4), 4u);
  EXPECT_EQ(threadsPerRank(16, 5), 3u);
  EXPECT_EQ(threadsPerRank(2, 8), 1u);
}

}  // namespace
}  // namespace dcc::launch
