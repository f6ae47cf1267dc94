// What doctor finds, in trees of files as the kernel and the driver show them.
#include "tools/drun/doctor.h"

#include <gtest/gtest.h>

#include "tests/unit/file_tree.h"
#include "tools/drun/nvidia.h"

namespace dcc::drun {
namespace {

using Doctor = dcc::testing::FileTree;

TEST(Findings, AreAlignedAndOneLineEach) {
  Findings findings;
  findings.section("first");
  findings.add("some_thing", 7, "seven");
  findings.add("x", nullptr, "a\nb");
  findings.section("2");
  findings.add("A_VARIABLE", "y");
  EXPECT_EQ(findings.table(),
            "first  some thing  seven\n"
            "       x           a\\nb\n"
            "\n"
            "2      A_VARIABLE  y\n");
  EXPECT_EQ(findings.json(),
            "{\"first\":{\"some_thing\":7,\"x\":null},\"2\":{\"A_VARIABLE\":\"y\"}}\n");
}

TEST_F(Doctor, NothingIsThereAndNothingFails) {
  const auto json = nlohmann::json::parse(examine(root_).json());
  EXPECT_TRUE(json["memory"]["total"].is_null());
  EXPECT_TRUE(json["memory"]["cgroup_limit"].is_null());
  EXPECT_TRUE(json["cpu"]["instruction_sets"].empty());
  EXPECT_NE(json["cpu"]["kernels"], "");
  EXPECT_GE(json["cpu"]["cores"], 1);
  EXPECT_EQ(json["nvidia"]["devices"], nlohmann::json::array());
  EXPECT_TRUE(json["nvidia"]["driver"].is_null());
  EXPECT_EQ(json["limits"]["huge_pages"], "unknown");
}

TEST_F(Doctor, TellsWhatIsThere) {
  write("/proc/cpuinfo", "model name : Some CPU\nflags : fpu avx2 vmx amx_tile\n");
  write("/proc/meminfo", "MemTotal: 2048 kB\n");
  write("/proc/self/cgroup", "0::/job\n");
  write("/sys/fs/cgroup/job/memory.max", "1048576\n");
  write("/sys/fs/cgroup/job/cpu.max", "50000 100000\n");
  write("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
  const Findings findings = examine(root_);
  const auto json = nlohmann::json::parse(findings.json());
  EXPECT_EQ(json["cpu"]["model"], "Some CPU");
  EXPECT_EQ(json["cpu"]["instruction_sets"], (nlohmann::json{"avx2", "amx_tile"}));
  EXPECT_EQ(json["cpu"]["cores"], 1);
  EXPECT_EQ(json["memory"]["total"], 2u << 20);
  EXPECT_EQ(json["memory"]["cgroup_limit"], 1u << 20);
  EXPECT_EQ(json["limits"]["huge_pages"], "never");
  EXPECT_NE(findings.table().find("0.5 by a cgroup's quota"), std::string::npos);
  EXPECT_NE(findings.table().find("2.0 MiB"), std::string::npos);
}

TEST_F(Doctor, NvidiaDevices) {
  EXPECT_TRUE(nvidiaDevices(root_).empty());
  EXPECT_FALSE(nvidiaDriver(root_).has_value());
  write("/dev/nvidia0", "");
  write("/dev/nvidia1", "");
  write("/dev/nvidiactl", "");
  write("/proc/driver/nvidia/gpus/0000:01:00.0/information",
        "Model: \t\t NVIDIA H200\nIRQ:   \t\t 1\n");
  write("/proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n"
        "GCC version:  gcc version 12.2.0\n");
  EXPECT_EQ(nvidiaDevices(root_), (std::vector<std::string>{"NVIDIA H200", "unknown"}));
  EXPECT_EQ(nvidiaDriver(root_), "570.86.15");
  write("/proc/driver/nvidia/version", "something else\n");
  EXPECT_EQ(nvidiaDriver(root_), "unknown");
}

}  // namespace
}  // namespace dcc::drun
