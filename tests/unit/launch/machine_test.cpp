// What the machine says, from a file tree as the kernel shows it.
#include "runtime/launch/machine.h"

#include <gtest/gtest.h>

#include "tests/unit/file_tree.h"

namespace dcc::launch {
namespace {

using Machine = dcc::testing::FileTree;

TEST_F(Machine, NothingIsThereAndNothingFails) {
  EXPECT_EQ(cpuinfoField("flags", root_), "");
  EXPECT_NE(cpuModel(root_), "");
  EXPECT_FALSE(lastLevelCacheBytes(root_).has_value());
  const MemoryInfo memory = memoryInfo(root_);
  EXPECT_FALSE(memory.total || memory.available || memory.limit);
}

TEST_F(Machine, Cpu) {
  write("/proc/cpuinfo",
        "processor\t: 0\nmodel name\t:  Some CPU: fast  \nflags\t\t: fpu sse\n\n"
        "processor\t: 1\nmodel name\t: Another\n");
  EXPECT_EQ(cpuModel(root_), "Some CPU: fast");
  EXPECT_EQ(cpuinfoField("flags", root_), "fpu sse");
  EXPECT_EQ(cpuinfoField("processor", root_), "0");
}

TEST_F(Machine, CachesOfTheLastLevelAreCountedOnce) {
  const auto cache = [&](int cpu, int index, const char* level, const char* size,
                         const char* cpus) {
    const std::string path = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cache/index" +
                             std::to_string(index);
    write(path + "/level", level);
    write(path + "/size", size);
    write(path + "/shared_cpu_list", cpus);
  };
  for (int cpu = 0; cpu < 4; ++cpu) {
    cache(cpu, 0, "1\n", "48K\n", std::to_string(cpu).c_str());
    cache(cpu, 1, "3\n", "32768K\n", cpu < 2 ? "0-1\n" : "2-3\n");
  }
  EXPECT_EQ(lastLevelCacheBytes(root_), uint64_t{64} << 20);
}

TEST_F(Machine, Memory) {
  write("/proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:     800 kB\n");
  write("/proc/self/cgroup", "0::/a/b\n4:memory:/job\n");
  EXPECT_EQ(memoryInfo(root_).total, 1000u << 10);
  EXPECT_EQ(memoryInfo(root_).available, 800u << 10);
  EXPECT_FALSE(memoryInfo(root_).limit.has_value());
  write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
  write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_FALSE(memoryInfo(root_).limit.has_value());
  write("/sys/fs/cgroup/a/memory.max", "500000\n");
  EXPECT_EQ(memoryInfo(root_).limit, 500000u);
  write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "400000\n");
  EXPECT_EQ(memoryInfo(root_).limit, 400000u);
  EXPECT_EQ(memoryInfo(root_).room, 400000u) << "nobody says what is used";
  // What a cgroup holds of files it gives up when others need it.
  write("/sys/fs/cgroup/a/memory.current", "450000\n");
  write("/sys/fs/cgroup/a/memory.stat", "anon 1\nactive_file 100000\ninactive_file 50000\n");
  EXPECT_EQ(memoryInfo(root_).room, 200000u);
  write("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "999999\n");
  EXPECT_EQ(memoryInfo(root_).room, 0u);
}

}  // namespace
}  // namespace dcc::launch
